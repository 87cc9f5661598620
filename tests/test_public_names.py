"""What `deadpan` offers by name."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import deadpan


def test_public_names_are_exactly_all() -> None:
    assert set(deadpan.__all__) == set(deadpan.HOMES)
    assert set(deadpan.__all__) <= set(dir(deadpan))


@pytest.mark.parametrize("name", deadpan.__all__)
def test_a_public_name_is_imported_from_the_file_that_defines_it(name: str) -> None:
    value = getattr(deadpan, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert value.__module__ == f"deadpan.{deadpan.HOMES[name]}"
        assert inspect.getdoc(value)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'deadpan' has no attribute 'smile'"):
        _ = deadpan.smile


def test_importing_deadpan_imports_nothing_else() -> None:
    code = (
        "import sys, deadpan; print([name for name in ('numpy', 'cv2', 'onnxruntime', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
