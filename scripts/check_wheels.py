"""Checks that deadpan and all its dependencies install from wheels on every supported Python and system.

For each pair, `pip download --only-binary=:all:` resolves and downloads the wheels; their total size is printed. pip
applies the environment markers of the Python that runs it, so run this script on the oldest one to include backports.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")

GLIBC = range(28, 16, -1)

SYSTEMS = {
    "Linux x86-64": [*(f"manylinux_2_{minor}_x86_64" for minor in GLIBC), "manylinux2014_x86_64"],
    "Linux aarch64": [*(f"manylinux_2_{minor}_aarch64" for minor in GLIBC), "manylinux2014_aarch64"],
    "macOS arm64": ["macosx_14_0_arm64"],
    "Windows x86-64": ["win_amd64"],
}


def download(wheel: Path, python: str, tags: list[str], cache: Path) -> tuple[float, str]:
    """The size of all wheels in MB, and pip's error message, empty on success."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        command += ["--only-binary=:all:", "--python-version", python, "--dest", folder, "--cache-dir", str(cache)]
        command += [f"--platform={tag}" for tag in tags]
        done = subprocess.run([*command, str(wheel)], capture_output=True, text=True)
        size = sum(path.stat().st_size for path in Path(folder).iterdir()) / 1e6
    wrong = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    return size, "" if done.returncode == 0 else wrong[-1] if wrong else done.stderr


def main() -> int:
    """Check every pair; returns 1 if one fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path, help="the wheel of deadpan")
    wheel = parser.parse_args().wheel
    failed = 0
    with tempfile.TemporaryDirectory() as cache:
        for python in PYTHONS:
            for system, tags in SYSTEMS.items():
                size, error = download(wheel, python, tags, Path(cache))
                print(f"Python {python}, {system}: {error or f'{size:.0f} MB'}", flush=True)
                failed += bool(error)
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
