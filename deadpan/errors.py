"""The base of every error that deadpan raises about what it was given, and what to do about a missing package."""

from __future__ import annotations

EXTRAS = {"pillow_heif": "heic", "ray": "ray", "fastapi": "serve", "uvicorn": "serve", "python_multipart": "serve"}
"""Which extra of pyproject.toml brings a package that only a part of deadpan needs; `train` brings all others."""


class DeadpanError(ValueError):
    """Input, a file or a setting that deadpan cannot use; the text says what was expected and what came."""


def how_to_install(package: str) -> str:
    """The command that installs a missing package, as README.md writes it for a copy of the repository."""
    extra = EXTRAS.get(package.partition(".")[0], "train")
    if extra == "train":
        return "pip install 'deadpan[train]' (in a copy of the repository: pip install '.[cpu,train]')"
    return f"pip install 'deadpan[{extra}]' (in a copy of the repository: pip install '.[{extra}]')"
