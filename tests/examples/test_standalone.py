"""The programs in examples/standalone, in Python, JavaScript and C++, give the results of Predictor."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from deadpan.prediction.predictor import Predictor
from deadpan.release.standalone import export_standalone
from tests.support.npm import HEADERS, node_modules
from tests.support.photos import PHOTOS

PROGRAMS = Path(__file__).parents[2] / "examples" / "standalone"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_standalone("default", tmp_path_factory.mktemp("standalone"))


def python(folder: Path) -> list[str]:
    """The command of the program in Python."""
    return [sys.executable, str(PROGRAMS / "face.py")]


def javascript(folder: Path) -> list[str]:
    """The command of the program in JavaScript, which finds its packages beside itself."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    (folder / "node_modules").symlink_to(node_modules("onnxruntime-node"))
    return [node, shutil.copy(PROGRAMS / "face.mjs", str(folder))]


def cpp(folder: Path) -> list[str]:
    """The command of the program in C++: headers and library come from two npm packages of nearly the same version."""
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("no C++ compiler is installed")
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        pytest.skip("the library is looked up for Linux on x86-64 only")
    headers = next(node_modules(HEADERS).rglob("onnxruntime_cxx_api.h")).parent
    library = next((node_modules("onnxruntime-node") / "onnxruntime-node").glob("bin/*/linux/x64/libonnxruntime.so.1"))
    (folder / "libonnxruntime.so").symlink_to(library)
    flags = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-isystem", str(headers)]
    links = ["-L", str(folder), "-lonnxruntime", f"-Wl,-rpath,{library.parent}"]
    program = folder / "face"
    subprocess.run([compiler, *flags, str(PROGRAMS / "face.cpp"), "-o", str(program), *links], check=True)
    return [str(program)]


@pytest.mark.parametrize("language", [python, javascript, cpp], ids=["python", "javascript", "cpp"])
@pytest.mark.parametrize("photograph", ["girl_happiness.png", "london_107_neutral.jpg"])
def test_a_program_reads_a_face_as_the_predictor_does(
    language: Callable[[Path], list[str]], photograph: str, model: Path, tmp_path: Path
) -> None:
    face = Predictor().predict(PHOTOS / photograph)[0]
    (tmp_path / "face.rgb").write_bytes(face.aligned.tobytes())
    command = [*language(tmp_path), str(model), str(tmp_path / "face.rgb"), str(tmp_path / "neutral.rgb")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *lines, last = done.stdout.splitlines()
    found = {name: float(value) for name, value in (line.split() for line in lines)}
    assert list(found) == list(face.probabilities)
    assert found == pytest.approx(face.probabilities, abs=1e-5)
    assert face.residue is not None and face.neutral is not None
    assert last.split()[0] == "residue" and float(last.split()[1]) == pytest.approx(face.residue, abs=1e-5)
    neutral = np.fromfile(tmp_path / "neutral.rgb", np.uint8).reshape(face.neutral.shape)
    assert np.abs(neutral.astype(int) - face.neutral).max() <= 1


@pytest.mark.parametrize("name", ["face.py", "face.mjs", "face.cpp"])
def test_a_program_is_short(name: str) -> None:
    text = (PROGRAMS / name).read_text(encoding="utf-8")
    code = text.rpartition('"""')[2] if name.endswith(".py") else text
    lines = [line for line in code.splitlines() if line.strip() and not line.startswith("//")]
    assert len(lines) <= 32
