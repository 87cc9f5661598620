"""The entry point of the command line: runs a command and turns errors into one line of text and an exit code."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor

from cyclopts import CycloptsError, UnknownOptionError

from deadpan.cli import data, evaluate, models, predict, relax, serve, train
from deadpan.cli.app import DONE, FAILED, INTERRUPTED, PARTLY, app, complain
from deadpan.errors import how_to_install
from deadpan.interruption import Terminated, ending_in_order

LIGHT = ("cv2", "numpy", "onnxruntime", "PIL", "rich", "cyclopts")
"""The packages that every installation of deadpan includes; if one is missing, the installation is damaged."""

COMMANDS = (
    *(predict.predict, models.models, relax.relax),
    *(serve.serve, serve.live),
    *(data.data, data.prepare, data.compose, data.synthesize),
    *(train.train, train.export),
    *(evaluate.evaluate, evaluate.score, evaluate.compare),
)
for command in COMMANDS:
    app.command(command)

LATE = {"train": train.add_methods, "evaluate": evaluate.add_evaluations, "synthesize": data.add_synthesis}
"""Commands whose flags come from dataclasses in modules that are slow to import; each is built when it is run."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; with DEADPAN_DEBUG=1 errors are raised with their traceback."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # file names may contain bytes that the terminal cannot show
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    warnings.filterwarnings("ignore", module=r"PIL\.")  # Pillow warns of damaged metadata and very large pictures
    tokens = join_dashes(sys.argv[1:] if arguments is None else arguments)
    with ending_in_order():
        return run(tokens)


def run(tokens: list[str]) -> int:
    """Run one command and return its exit code."""
    try:
        LATE.get(tokens[0] if tokens else "", lambda: None)()
        code = app(
            tokens,
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )
        sys.stdout.flush()
    except Terminated as stop:
        return stop.code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the program that reads our output, such as `head`, has ended
        drop_output()
        return PARTLY
    except (CycloptsError, ValueError, OSError, ModuleNotFoundError, FloatingPointError, BrokenExecutor) as error:
        if os.environ.get("DEADPAN_DEBUG"):
            raise
        complain(explain(error))
        with contextlib.suppress(ValueError):  # standard output is already closed
            try:
                sys.stdout.flush()
            except OSError:
                drop_output()
        return FAILED
    return code if isinstance(code, int) else DONE


def drop_output() -> None:
    """Redirect standard output to the null device; otherwise the interpreter's last flush would fail again."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def join_dashes(arguments: Sequence[str]) -> list[str]:
    """Replace `--json -` by `--json=-` and a lone `-` by /dev/stdin: cyclopts reads a dash as an option."""
    joined: list[str] = []
    for argument in arguments:
        if argument == "-" and joined and (joined[-1] == "-o" or joined[-1][:2] == "--" != joined[-1]):
            joined[-1] += "=-"
        elif argument == "-":
            joined.append("/dev/stdin")
        else:
            joined.append(argument)
    return joined


def explain(error: Exception) -> str:
    """Describe an error in one line, with advice on how to correct it."""
    if isinstance(error, UnknownOptionError):
        known = [name for argument in error.argument_collection or () for name in argument.names if name[:2] == "--"]
        return f"{first_line(error)} Known options: {', '.join(known)}."
    if isinstance(error, ModuleNotFoundError):
        package = (error.name or "").partition(".")[0]
        if package not in LIGHT and package != "deadpan":
            return f"this command needs the package {package}: {how_to_install(package)}"
        return f"the installation is incomplete: {error}"
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return first_line(error) if isinstance(error, CycloptsError) else str(error)


def first_line(error: Exception) -> str:
    """An error's text without line breaks."""
    return " ".join(str(error).split())
