"""Packages of the npm registry for tests in JavaScript and C++; a test that cannot have one is skipped."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

CACHE = Path(__file__).parents[2] / "out" / "npm"

VARIABLE = "DEADPAN_NODE_MODULES"
"""The environment variable with a folder `node_modules` to use in place of the registry."""

VERSIONS = {"onnxruntime-web": "1.30.0", "onnxruntime-node": "1.30.0", "com.github.asus4.onnxruntime": "0.4.9"}
"""The packages that tests may ask for. The last one, a plugin for Unity, is the only one that has the headers of ONNX
Runtime's C++ API."""


FAILED: dict[str, str] = {}
"""Why a package could not be fetched in this process, so that no other test waits for it again."""

HEADERS = "com.github.asus4.onnxruntime"
"""The package of which only the headers are kept: the rest has 380 MB."""


def node_modules(package: str) -> Path:
    """A folder `node_modules` that holds the package, fetched once into out/npm; skips the test if there is none."""
    given = os.environ.get(VARIABLE)
    if given:
        if not (Path(given) / package).is_dir():
            pytest.skip(f"{VARIABLE}={given} holds no {package}")
        return Path(given)
    version = VERSIONS[package]
    kept = CACHE / f"{package}-{version}"
    if not kept.is_dir() and package not in FAILED:
        FAILED[package] = _fetch(package, version, kept)
    if not kept.is_dir():
        pytest.skip(FAILED[package])
    return kept / "node_modules"


def _fetch(package: str, version: str, kept: Path) -> str:
    """Fetch the package into the folder `kept`; return why this did not work, or nothing."""
    npm = shutil.which("npm")
    if npm is None:
        return f"npm is not installed, and {VARIABLE} names no folder that holds {package}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        folder = Path(name) / "whole"
        folder.mkdir()
        command = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder)]
        try:
            done = subprocess.run(
                [*command, f"{package}@{version}"], capture_output=True, text=True, timeout=400, check=False
            )
        except subprocess.TimeoutExpired:
            return f"npm did not fetch {package} {version} within 400 seconds"
        if done.returncode:
            return f"npm cannot fetch {package} {version}: {done.stderr.strip()[-200:]}"
        if package == HEADERS:
            for path in [each for each in folder.rglob("*") if each.is_file() and each.suffix != ".h"]:
                path.unlink()
        try:
            folder.rename(kept)
        except OSError:  # another process was faster
            assert kept.is_dir()
    return ""
