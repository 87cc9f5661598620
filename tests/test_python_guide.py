"""Every example of docs/python.md runs, in order, and prints what the page says."""

from __future__ import annotations

import contextlib
import io
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from deadpan.models import released
from tests.support.films import smiling, write_film
from tests.support.photos import PHOTOS

GUIDE = Path(__file__).parents[1] / "docs" / "python.md"

EXAMPLE = re.compile(r"^```python\n(.*?)^```\n(?:\n^```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)


@pytest.mark.skipif(not {"derl", "dgcn"} <= set(released()), reason="needs the released models")
def test_the_examples_of_the_python_guide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photos").mkdir()
    names = {"photo.jpg": "london_107_happiness.jpg", "me.jpg": "london_107_neutral.jpg"}
    names |= {"photos/man.png": "duchenne_man_happiness.png", "photos/woman.jpg": "london_006_happiness.jpg"}
    for name, photograph in names.items():
        shutil.copy(PHOTOS / photograph, tmp_path / name)
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"")
    write_film(tmp_path / "talk.mp4", smiling(), codec="mp4v")
    monkeypatch.chdir(tmp_path)
    examples = EXAMPLE.findall(GUIDE.read_text(encoding="utf-8"))
    assert len(examples) == GUIDE.read_text(encoding="utf-8").count("```python") > 10
    names_so_far: dict[str, Any] = {}
    for code, output in examples:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, str(GUIDE), "exec"), names_so_far)
        if output:
            assert printed.getvalue() == output, code
    assert 0 <= names_so_far["accuracy"] <= 1
    assert names_so_far["trained"].expressions == names_so_far["table"].expressions
    assert names_so_far["run"] == Path("runs/cnn/model.safetensors")
    assert len(names_so_far["comparison"].runs) == 2
    for written in ("panel.png", "cnn.onnx", "cnn.json", "report/report.html"):
        assert (tmp_path / written).stat().st_size > 0
