"""Every script in examples/ runs as its docstring says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from deadpan.models import released

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.skipif("derl" not in released(), reason="no released model yet")
def test_reading_a_photograph(girl: Path) -> None:
    script = EXAMPLES / "read_a_photograph.py"
    done = subprocess.run([sys.executable, str(script), str(girl), "none.jpg"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert "residue" in first
    assert second.startswith("none.jpg: ")
