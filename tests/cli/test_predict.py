"""The commands predict and models as users run them: what is written, what is said, and how the process ends."""

from __future__ import annotations

import csv
import inspect
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pyarrow import parquet

from deadpan.cli import main as cli
from deadpan.cli.main import main
from deadpan.cli.predict import predict as predict_command
from deadpan.expressions import EXPRESSIONS
from deadpan.faces.detection import CONFIDENCE, LONGEST_SIDE
from deadpan.prediction.writers import Names

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "bad.jpg"
    path.write_text("no picture")
    return path


def predict(model: Path, *arguments: str | Path) -> int:
    return main(["predict", "--model", str(model), *map(str, arguments)])


# predict


def test_table(model_file: Path, girl: Path, tmp_path: Path, capsys: Captured) -> None:
    Image.new("RGB", (60, 50)).save(tmp_path / "dark [bold].png")
    assert predict(model_file, girl, tmp_path / "dark [bold].png") == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert "girl_happiness.png  275 x 360" in printed.out and "face 0" in printed.out and "%" in printed.out
    assert "dark [bold].png  60 x 50\n  no face found" in printed.out


def test_rest_face_and_show(
    comparing_model_file: Path, model_file: Path, girl: Path, portrait: Path, capsys: Captured
) -> None:
    assert predict(comparing_model_file, portrait, "--rest-face", girl, "--show", "--json", "-") == 0
    (face,) = json.loads(capsys.readouterr().out)["faces"]
    assert list(face["shown"]) == ["branch", "intensity", "displacements"] and face["shown"]["intensity"] > 0
    assert face["distance_from_rest"] > 0
    assert predict(model_file, portrait, "--rest-face", girl, "--csv", "-") == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert float(row["distance_from_rest"]) > 0
    assert predict(comparing_model_file, portrait, "--rest-face", "nobody.png") == 2
    assert "nobody.png" in capsys.readouterr().err


def test_json_lines_to_file_and_standard_output(
    model_file: Path, girl: Path, bad: Path, tmp_path: Path, capsys: Captured
) -> None:
    assert predict(model_file, bad, girl, "--json", tmp_path / "out.jsonl") == 1
    written = (tmp_path / "out.jsonl").read_text()
    printed = capsys.readouterr()
    assert printed.out == "" and "bad.jpg: not a picture" in printed.err
    assert printed.err.endswith("\n1 of 2 photographs could not be read\n") and printed.err.count("\n") == 2
    first, second = map(json.loads, written.splitlines())
    assert first["faces"] == [] and first["error"].startswith("not a picture")
    assert second["error"] is None and len(second["faces"]) == 1
    assert predict(model_file, bad, girl, "--json", "-") == 1
    assert capsys.readouterr().out == written
    assert predict(model_file, bad, girl, "--json=-") == 1
    assert capsys.readouterr().out == written
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.jpg", "out.jsonl"]  # nothing temporary is left


def test_folders_and_patterns_are_read_in_the_order_of_their_names(
    model_file: Path, girl: Path, tmp_path: Path, capsys: Captured
) -> None:
    for name in ("b.png", "a.png", "other/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(girl.read_bytes())
    (tmp_path / "notes.txt").write_text("no picture")

    def read(*places: str | Path) -> list[str]:
        assert predict(model_file, *places, "--json", "-") == 0
        paths = [Path(json.loads(line)["path"]) for line in capsys.readouterr().out.splitlines()]
        return [str(path.relative_to(tmp_path)) for path in paths]

    assert read(tmp_path) == ["a.png", "b.png"]
    assert read(tmp_path / "other", tmp_path) == ["other/c.png", "a.png", "b.png"]
    assert read(tmp_path / "**" / "*.png") == ["a.png", "b.png", "other/c.png"]


def test_csv(model_file: Path, girl: Path, bad: Path, tmp_path: Path) -> None:
    Image.new("RGB", (60, 50)).save(tmp_path / "dark, empty.png")
    out = tmp_path / "out.csv"
    assert predict(model_file, girl, bad, tmp_path / "dark, empty.png", "--csv", out) == 1
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["face"] for row in rows] == ["0", "", ""]
    assert rows[0]["expression"] in EXPRESSIONS
    assert sum(float(rows[0][name]) for name in EXPRESSIONS) == pytest.approx(1, abs=1e-5)
    assert rows[1]["error"].startswith("not a picture") and rows[1]["width"] == "0"
    assert rows[2]["path"].endswith("dark, empty.png") and rows[2]["error"] == "" and rows[2]["width"] == "60"


def test_json_and_csv_together(model_file: Path, girl: Path, tmp_path: Path, capsys: Captured) -> None:
    assert predict(model_file, girl, "--json", tmp_path / "a", "--csv", tmp_path / "b", "--crop") == 0
    assert (tmp_path / "a").exists() and (tmp_path / "b").exists()
    assert predict(model_file, girl, "--json", "-", "--csv", "-") == 2
    assert "cannot both be written" in capsys.readouterr().err


def test_pictures(model_file: Path, plain_model_file: Path, girl: Path, bad: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    twin = Path(shutil.copy(girl, tmp_path / "other" / girl.name))
    panels, neutral = tmp_path / "deep" / "panels", tmp_path / "neutral"
    assert predict(model_file, girl, bad, twin, "--panel", panels, "--neutral-dir", neutral) == 1
    assert sorted(path.name for path in panels.iterdir()) == ["girl_happiness-2.panel.png", "girl_happiness.panel.png"]
    assert sorted(path.name for path in neutral.iterdir()) == [
        "girl_happiness-2_0.face.png",
        "girl_happiness-2_0.neutral.png",
        "girl_happiness_0.face.png",
        "girl_happiness_0.neutral.png",
    ]
    assert np.asarray(Image.open(neutral / "girl_happiness_0.neutral.png")).shape == (64, 64, 3)
    assert predict(plain_model_file, girl, "--neutral-dir", tmp_path / "plain") == 0
    assert [path.name for path in (tmp_path / "plain").iterdir()] == ["girl_happiness_0.face.png"]


def test_detection_options(model_file: Path, portrait: Path, tmp_path: Path, capsys: Captured) -> None:
    scene = np.full((1500, 2400, 3), 200, np.uint8)
    tiny = Image.open(portrait).crop((100, 80, 412, 480)).resize((36, 46), Image.Resampling.LANCZOS)
    scene[700:746, 1200:1236] = np.asarray(tiny)
    Image.fromarray(scene).save(tmp_path / "far.png")
    counts = []
    for options in (
        [],
        ["--longest-side", "0"],
        ["--small-faces"],
        ["--small-faces", "--confidence", "1"],
        ["--crop"],
        ["--detector", "none"],
        ["--detector", "blazeface"],
    ):
        assert predict(model_file, tmp_path / "far.png", "--json", "-", *options) == 0
        counts.append(len(json.loads(capsys.readouterr().out)["faces"]))
    assert counts == [0, 1, 1, 0, 1, 1, 0]


def test_defaults_are_those_of_the_library() -> None:
    parameters = inspect.signature(predict_command).parameters
    assert parameters["longest_side"].default == LONGEST_SIDE
    assert parameters["confidence"].default == CONFIDENCE


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--frobnicate", "3"], "Known options: --model, --out, --format, --json, --csv"),
        (["--longest-side", "wide"], "--longest-side"),
        (["--longest-side", "5"], "longest side must be 16 to"),
        (["--confidence", "60"], "confidence must be between 0 and 1, got 60"),
        (["--detector", "mtcnn"], "unknown detector 'mtcnn'; expected centerface, blazeface, none or the path"),
        (["--json", "{girl}/out.jsonl"], "girl_happiness.png is a file, not a directory"),
        (["--json", "{tmp}"], "is a directory; --json needs a file name, or - for standard output"),
        (["--panel", "{girl}"], "is a file; expected a directory"),
        (["--model", "nothing"], "no model named 'nothing'; released models:"),
        (["--model", "{girl}"], "damaged or not an ONNX model"),
    ],
)
def test_wrong_use_is_one_line_and_code_2(
    model_file: Path, girl: Path, tmp_path: Path, capsys: Captured, arguments: list[str], message: str
) -> None:
    filled = [argument.format(tmp=tmp_path, girl=girl) for argument in arguments]
    model = [] if "--model" in filled else ["--model", str(model_file)]
    assert main(["predict", str(girl), *model, *filled]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith("error: ") and printed.err.count("\n") == 1
    assert message in printed.err


def test_nothing_given_and_nothing_readable(model_file: Path, tmp_path: Path, capsys: Captured) -> None:
    assert predict(model_file) == 2
    assert "no photographs given" in capsys.readouterr().err
    assert predict(model_file, tmp_path / "gone.png", tmp_path / "absent.png") == 2
    printed = capsys.readouterr().err
    assert "gone.png: no such file" in printed and "absent.png: no such file" in printed
    assert predict(model_file, tmp_path, tmp_path / "absent.png") == 2
    assert f"error: {tmp_path}: no picture found; expected at least one" in capsys.readouterr().err
    assert main(["frobnicate"]) == 2
    assert "Unknown command" in capsys.readouterr().err


def test_a_run_folder_is_refused_with_the_command_that_exports_it(girl: Path, tmp_path: Path, capsys: Captured) -> None:
    def complaint(model: Path) -> str:
        assert predict(model, girl) == 2
        return capsys.readouterr().err

    run = tmp_path / "run"
    run.mkdir()
    assert f"{run} is a folder; expected a model file (.onnx)\n" in complaint(run)
    (run / "state.safetensors").write_bytes(b"")
    assert "this run is not finished: train on with --resume" in complaint(run)
    (run / "model.safetensors").write_bytes(b"")
    assert f"write it by `deadpan export {run}`" in complaint(run)
    weights = complaint(run / "model.safetensors")
    assert (
        "model.safetensors holds the weights of a training run; expected a model file (.onnx); write it by " in weights
    )
    assert f"`deadpan export {run}`" in weights
    (run / "derl.onnx").write_bytes(b"")
    assert f"expected a model file (.onnx): {run / 'derl.onnx'}" in complaint(run)
    assert "`deadpan export RUN_FOLDER`" in complaint(tmp_path / "copied.safetensors")


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch, girl: Path) -> None:
    monkeypatch.setenv("DEADPAN_DEBUG", "1")
    with pytest.raises(ValueError, match="no model named"):
        main(["predict", str(girl), "--model", "nothing"])


def test_missing_training_package(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    def command(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn")

    monkeypatch.setattr(cli, "app", command)
    assert main([]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: this command needs the package torch: pip install 'deadpan[train]' (in a copy")
    (of_the_repository,) = re.findall(r"pip install '\.\[[a-z,]+\]'", message)
    assert of_the_repository in (Path(__file__).parents[2] / "README.md").read_text()


def test_interruption(monkeypatch: pytest.MonkeyPatch) -> None:
    def command(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "app", command)
    assert main([]) == 130


def test_a_file_is_complete_or_untouched(
    model_file: Path, girl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "new" / "out.jsonl"
    assert predict(model_file, girl, "--json", out) == 0
    before = out.read_text()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("deadpan.prediction.writers.write_png", interrupted)
    assert predict(model_file, girl, "--json", out, "--panel", tmp_path / "panels") == 130
    assert out.read_text() == before and [path.name for path in out.parent.iterdir()] == ["out.jsonl"]


def test_names_never_repeat() -> None:
    names = Names()
    given = ["a/x.jpg", "b/x.png", "x-2.jpg", "X.jpg", "x.tar.gz"]
    assert [names(path) for path in given] == ["x", "x-2", "x-2-2", "X-3", "x.tar"]


# processes


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from deadpan.cli.main import main; main(['predict', '--help']);"
        "sys.exit(', '.join({'torch', 'numpy', 'cv2', 'onnxruntime', 'PIL'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--neutral-dir" in done.stdout


@pytest.mark.skipif(os.name != "posix", reason="needs file names of any bytes, and pipes")
def test_odd_names_and_a_closed_pipe(model_file: Path, girl: Path, tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/caf\xe9.png"
    Path(os.fsdecode(name)).write_bytes(girl.read_bytes())
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    for options in ([], ["--json", "-"], ["--csv", "-"], ["--csv", tmp_path / "out.csv"], ["--panel", tmp_path]):
        command: list[str | bytes | Path] = [sys.executable, "-m", "deadpan", "predict", name, tmp_path / "é.png"]
        done = subprocess.run([*command, "--model", model_file, *options], capture_output=True, env=environment)
        assert done.returncode == 1 and b"Traceback" not in done.stderr, done.stderr
    reading, writing = os.pipe()
    os.close(reading)
    piped = [sys.executable, "-m", "deadpan", "predict", str(girl), "--model", str(model_file), "--json", "-"]
    closed = subprocess.run(piped, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert closed.returncode == 1 and closed.stderr == b""


# models


def test_models(model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setattr("deadpan.models.FOLDER", tmp_path)
    assert main(["models"]) == 0
    assert "no released model" in capsys.readouterr().out
    shutil.copy(model_file, tmp_path / "tiny.onnx")
    facts = {
        "name": "tiny",
        "method": "derl",
        "expressions": ["neutral", "happiness"],
        "image_size": 64,
        "licence": "CC0-1.0",
        "data": [{"name": "drawn people", "licence": "CC0-1.0"}],
        "metrics": {"majority": {"accuracy": 0.87654}},
        "sha256": "0",
    }
    (tmp_path / "tiny.json").write_text(json.dumps(facts))
    assert main(["models"]) == 0
    printed = capsys.readouterr().out
    assert "tiny" in printed and "derl" in printed and "64 x 64" in printed and "majority.accuracy" in printed
    assert main(["models", "tiny"]) == 0
    printed = capsys.readouterr().out
    assert "CC0-1.0" in printed and "0.8765" in printed and "THE FILE DIFFERS" in printed and "drawn people" in printed
    assert main(["models", "nothing"]) == 2
    assert "released models: tiny" in capsys.readouterr().err
    (tmp_path / "tiny.json").unlink()
    assert main(["models"]) == 0
    assert "no card" in capsys.readouterr().out


def test_meshes_are_written_on_request(model_file: Path, girl: Path, tmp_path: Path) -> None:
    lines, table = tmp_path / "faces.jsonl", tmp_path / "faces.parquet"
    common = ("predict", str(girl), "--model", str(model_file), "--mesh")
    assert main([*common, "--json", str(lines), "-o", str(table)]) == 0
    (face,) = json.loads(lines.read_text())["faces"]
    mesh = np.array(face["mesh"])
    assert mesh.shape == (468, 3)
    left, top, right, bottom = face["box"]
    inside = (mesh[:, 0] > left - 20) & (mesh[:, 0] < right + 20) & (mesh[:, 1] > top - 40) & (mesh[:, 1] < bottom + 40)
    assert inside.mean() > 0.95
    eyes = np.array(face["landmarks"])[:2]
    assert np.abs(mesh[[33, 133]].mean(0)[:2] - eyes[0]).max() < 0.1 * (right - left)
    (row,) = parquet.read_table(table).to_pylist()
    assert np.allclose(np.reshape(row["mesh"], (468, 3)), mesh, atol=1e-2)
    assert main([*common, "--json", str(lines), "--resume"]) == 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [((), "--mesh needs a file to write to"), (("--csv", "faces.csv"), "a CSV table cannot hold face meshes")],
)
def test_a_mesh_without_a_place_is_refused(
    flags: tuple[str, ...], message: str, model_file: Path, girl: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(girl), "--model", str(model_file), "--mesh", *flags]) == 2
    assert message in capsys.readouterr().err
