"""The base class of all errors about input, files and settings, and the advice to install a missing package."""

from __future__ import annotations

SERVE = ("fastapi", "prometheus_client", "pydantic", "python_multipart", "starlette", "uvicorn", "websockets")

EXTRAS = {"pillow_heif": "heic", "ray": "ray", **dict.fromkeys(SERVE, "serve")}
"""The extra of pyproject.toml that installs an optional package; all other optional packages are in `train`."""


class DeadpanError(ValueError):
    """Input, a file or a setting that deadpan cannot use; the text says what was expected and what was found."""


def how_to_install(package: str, extra: str | None = None) -> str:
    """The command that installs a missing package, also for a copy of the repository.

    `extra` is the extra of pyproject.toml to install, for a package that belongs to several.
    """
    extra = extra or EXTRAS.get(package.partition(".")[0], "train")
    if extra == "train":
        return "pip install 'deadpan[train]' (in a copy of the repository: pip install '.[cpu,train]')"
    return f"pip install 'deadpan[{extra}]' (in a copy of the repository: pip install '.[{extra}]')"
