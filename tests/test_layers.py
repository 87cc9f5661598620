"""An import goes down, never up, and the light side loads nothing that only training needs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import deadpan

PACKAGE = Path(deadpan.__file__).parent

LAYERS = (
    ("version", "expressions", "errors", "pixels", "printable", "onnx_runtime"),
    ("arrow", "files", "interruption", "settings"),
    ("jobs", "outputs"),
    ("faces", "models", "synthetic", "method"),
    ("video",),
    ("prediction", "datasets", "methods"),
    ("preparation", "server"),
    ("loading",),
    ("metrics",),
    ("training",),
    ("release", "evaluation"),
    ("comparison",),
    ("report",),
    ("cli",),
)
"""Lowest first; what stands in one line does not import each other."""

LIGHT = (
    *("version", "expressions", "errors", "pixels", "printable", "onnx_runtime"),
    *("arrow", "files", "interruption", "settings", "jobs", "outputs"),
    *("faces", "models", "video", "prediction", "datasets", "server"),
)
HEAVY = ("torch", "lightning_fabric", "kornia", "sklearn", "scipy", "pyarrow", "onnx", "matplotlib", "numba", "ray")


def imports(path: Path) -> set[str]:
    """What a file imports, inside functions too; of deadpan itself as deadpan.FOLDER."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "deadpan":
            found |= {f"deadpan.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def files(name: str) -> list[Path]:
    """The files of a folder or module at the top of the package."""
    return sorted((PACKAGE / name).rglob("*.py")) or [PACKAGE / f"{name}.py"]


@pytest.mark.parametrize("rank", range(len(LAYERS)))
def test_imports_go_down_only(rank: int) -> None:
    below = {name for layer in LAYERS[:rank] for name in layer}
    for name in LAYERS[rank]:
        for path in files(name) if (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file() else []:
            own = {each.split(".")[1] for each in imports(path) if each.startswith("deadpan.")}
            assert own <= below | {name}, f"{path.relative_to(PACKAGE)} imports {sorted(own - below - {name})}"


def test_every_part_of_the_package_has_its_layer() -> None:
    known = {name for layer in LAYERS for name in layer}
    parts = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert parts - known == {"__init__", "__main__"}


def test_the_light_side_loads_no_training_package() -> None:
    paths = [path.relative_to(PACKAGE.parent).with_suffix("") for name in LIGHT for path in files(name)]
    modules = [".".join(path.parts) for path in paths]
    code = f"""
import sys
from importlib import import_module
for name in {HEAVY!r}:
    sys.modules[name] = None
for name in {[name.removesuffix(".__init__") for name in modules]!r}:
    import_module(name)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_one_place_imports_onnx_runtime() -> None:
    found = [path.name for path in PACKAGE.rglob("*.py") if "onnxruntime" in imports(path)]
    assert found == ["onnx_runtime.py"]


def test_files_and_folders_keep_their_size() -> None:
    long = {path.name: count for path in PACKAGE.rglob("*.py") if (count := len(path.read_text().splitlines())) > 450}
    assert not long, f"longer than 450 lines: {long}"
    for folder in [each for each in PACKAGE.iterdir() if each.name not in ("datasets", "synthetic")]:
        assert len(list(folder.glob("*.py"))) <= 14, f"{folder.name} holds more than 14 files"


def test_functions_stay_below_40_statements() -> None:
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                count = sum(isinstance(inner, ast.stmt) for inner in ast.walk(node)) - 1
                assert count <= 40, f"{path.relative_to(PACKAGE)}: {node.name} has {count} statements"
