"""`deadpan predict` of videos: the files that are written, what is refused, and the exit codes."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deadpan.cli.main import main
from deadpan.expressions import EXPRESSIONS
from tests.support.films import smiling, write_film
from tests.support.photos import PHOTOS, VIDEOS

Captured = pytest.CaptureFixture[str]


def predict(*arguments: str | Path | float) -> int:
    return main(["predict", "--model", "cnn", *map(str, arguments)])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_everything_at_once(film: Path, tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "events.csv").write_text("name,from,to,participant\nsmile,0:01,0:02.4,0\n")
    names = {"-o": "talk.csv", "--json": "talk.jsonl", "--plot": "talk.png", "--video": "talk.webm"}
    names |= {"--vtt": "talk.vtt", "--eaf": "talk.eaf", "--summary": "events.jsonl", "--key-frames": "apexes"}
    options = [text for option, name in names.items() for text in (option, str(tmp_path / name))]
    for _ in range(2):  # the second call replaces the files of the first
        assert predict(film, *options, "--events", tmp_path / "events.csv") == 0
        assert capsys.readouterr().err == ""
    table = rows(tmp_path / "talk.csv")
    start = ["input", "frame", "time_s", "face", "x", "y", "width", "height", "face_score"]
    assert list(table[0]) == [*start, *EXPRESSIONS, "expression", "confidence", "distance_from_rest"]
    assert len(table) == 110 and [row["face"] for row in table[79:91]] == ["0", *[""] * 10, "1"]
    apex = max(table[:80], key=lambda row: float(row["distance_from_rest"]))
    assert apex["expression"] == "happiness" and 1.0 < float(apex["time_s"]) < 2.2
    lines = [json.loads(line) for line in (tmp_path / "talk.jsonl").read_text().splitlines()]
    assert len(lines) == 110 and lines[85]["face"] is None and lines[0]["face"] == 0
    assert "face 0: happiness" in (tmp_path / "talk.vtt").read_text()
    assert "<ANNOTATION_VALUE>happiness<" in (tmp_path / "talk.eaf").read_text()
    (event,) = map(json.loads, (tmp_path / "events.jsonl").read_text().splitlines())
    assert event["apex_expression"] == "happiness" and event["frames"] == 35
    assert [path.name[:7] for path in (tmp_path / "apexes").iterdir()] == ["talk_0_"]
    assert (tmp_path / "talk.png").is_file() and (tmp_path / "talk.webm").is_file()


def test_the_terminal_shows_who_shows_what_when(film: Path, capsys: Captured) -> None:
    assert predict(film) == 0
    printed = capsys.readouterr().out
    assert "talk.avi  110 rows" in printed and "face 1" in printed
    assert "happiness" in printed and "from rest" in printed


def test_options_of_reading(film: Path, tmp_path: Path) -> None:
    out = tmp_path / "few.csv"
    assert predict(film, "-o", out, "--fps", 5, "--from", "0:01", "--to", "2.01", "--rest", "none") == 0
    assert [row["frame"] for row in rows(out)] == ["25", "30", "35", "40", "45", "50"]
    assert {row["distance_from_rest"] for row in rows(out)} == {""}
    assert predict(film, "-o", out, "--every", 10, "--rest", "0:00-0:01", "--smoothing", 0) == 0
    assert len(rows(out)) == 11
    assert predict(film, "-o", out, "--every", 2, "--rest-face", PHOTOS / "london_107_neutral.jpg") == 0
    assert float(rows(out)[20]["distance_from_rest"]) > 0.3


def test_a_model_that_compares_takes_the_rest_face(film: Path, tmp_path: Path, comparing_model_file: Path) -> None:
    for name, extra in (("own", []), ("given", ["--rest-face", str(PHOTOS / "london_107_neutral.jpg")])):
        command = ["predict", str(film), "--model", str(comparing_model_file), "-o", str(tmp_path / f"{name}.csv")]
        assert main([*command, "--every", "20", *extra]) == 0
    assert rows(tmp_path / "own.csv")[0]["anger"] != rows(tmp_path / "given.csv")[0]["anger"]


def test_a_truncated_video_gives_what_can_be_read(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    content = (VIDEOS / "plain.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[: len(content) * 6 // 10])
    assert predict(tmp_path / "cut.mp4", "-o", tmp_path / "cut.csv") == 1
    error = capfd.readouterr().err
    assert error == f"error: {tmp_path / 'cut.mp4'}: damaged or cut short; reading stopped at 0:00 of 0:02\n"
    assert 15 < len(rows(tmp_path / "cut.csv")) < 50
    (tmp_path / "none.mp4").write_text("no video")
    assert predict(tmp_path / "none.mp4") == 2
    assert predict(tmp_path / "none.mp4", VIDEOS / "plain.mp4", "--csv", tmp_path / "two.csv", "--every", 20) == 1
    assert {row["input"] for row in rows(tmp_path / "two.csv")} == {str(VIDEOS / "plain.mp4")}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["talk.avi", "girl.png"], "photographs and videos cannot be read in one call; use one call for each kind"),
        (["talk.avi", "--panel", "p"], "--panel: only for photographs, but videos were given"),
        (["girl.png", "--plot", "p.png", "--from", "3"], "--from, --plot: only for videos, but no video was given"),
        (["talk.avi", "-o", "p.txt"], "cannot tell the format of p.txt from its name"),
        (["talk.avi", "--rest", "later"], "--rest: expected auto, none or a time range such as 0:10-0:20; got 'later'"),
        (["talk.avi", "--rest", "0:20-x"], "--rest: expected auto, none or a time range"),
        (["talk.avi", "--rest", "20-10"], "rest must be a time range from 0 s or later to a later time"),
        (["talk.avi", "--from", "x"], "expected a time in seconds"),
        (["talk.avi", "--every", "0"], "every must be at least 1 frame, got 0"),
        (["talk.avi", "--video", "p.mp4"], "--video writes WebM: expected a name that ends in .webm"),
        (["talk.avi", "--plot", "p.pdf"], "--plot writes PNG: expected a name that ends in .png"),
        (["talk.avi", "b.avi", "--plot", "p.png"], "--plot: expected a single video, got 2"),
        (["talk.avi", "--events", "e.csv"], "--events FILE and --summary FILE must be given together"),
        (["talk.avi", "--vtt", "p.x", "--eaf", "p.x"], "--vtt, --eaf must each name a different file"),
        (["talk.avi", "--vtt", "notes.txt"], "notes.txt was not written by this command, and --vtt would overwrite it"),
        (["talk.avi", "--plot", "girl.png"], "girl.png was not written by this command, and --plot would overwrite it"),
        (["talk.avi", "-o", "notes.txt.csv"], "notes.txt.csv was not written by this command"),
        (["talk.avi", "--video", "notes.webm"], "notes.webm was not written by this command"),
    ],
)
def test_what_is_refused(
    arguments: list[str], message: str, film: Path, girl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "talk.avi").write_bytes(film.read_bytes())
    (tmp_path / "girl.png").write_bytes(girl.read_bytes())
    (tmp_path / "e.csv").write_text("name,from,to\na,0,1\n")
    for name in ("notes.txt", "notes.txt.csv", "notes.webm"):
        (tmp_path / name).write_text("my notes")
    before = sorted(path.name for path in tmp_path.iterdir())
    assert predict(*arguments) == 2
    assert message in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert (tmp_path / "notes.txt").read_text() == "my notes"


@pytest.mark.skipif(os.name == "nt", reason="sends a signal")
def test_ctrl_c_keeps_the_frames_read_so_far(tmp_path: Path) -> None:
    frames = list(smiling())[:80]
    short = write_film(tmp_path / "short.avi", iter(frames))
    long = write_film(tmp_path / "long.avi", (frame for _ in range(60) for frame in frames))
    words = [sys.executable, "-m", "deadpan", "predict", "--model", "cnn"]
    began = time.monotonic()
    subprocess.run([*words, str(short), "-o", str(tmp_path / "s.csv")], check=True)
    running = subprocess.Popen([*words, str(long), "-o", str(tmp_path / "l.csv")], stderr=subprocess.PIPE, text=True)
    time.sleep(1.5 * (time.monotonic() - began))  # enough for some frames, and far from enough for sixty times as many
    running.send_signal(signal.SIGINT)
    _, error = running.communicate(timeout=120)
    assert running.returncode == 130, error
    partial = tmp_path / "l.csv.partial"
    assert f"stopped; the frames read so far are in {partial}" in error
    assert 0 < len(rows(partial)) < 4800 and not (tmp_path / "l.csv").exists()
    assert rows(partial)[0]["distance_from_rest"] != ""
