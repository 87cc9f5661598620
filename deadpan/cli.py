"""The command line: one command is one thin function, and imports what is heavy only when it runs."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter, UnknownOptionError

from deadpan import __version__
from deadpan.late_commands import LATE, evaluate, synthesize, train

DONE, PARTLY, FAILED, INTERRUPTED = 0, 1, 2, 130
"""Exit codes: everything done; some items failed, others were done; nothing was done or the usage is wrong."""

LIGHT = ("cv2", "numpy", "onnxruntime", "PIL", "rich", "yuface", "cyclopts")  # a missing one is a broken installation

app = App(
    name="deadpan",
    help="Recognise facial expressions by removing them.",
    version=__version__,
    default_parameter=Parameter(negative=(), consume_multiple=True),
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
)


@app.command
def predict(
    *paths: Annotated[str, Parameter(help="Photographs to read.")],
    model: Annotated[str, Parameter(help="A released model's name (see `deadpan models`) or a model file.")] = "derl",
    json: Annotated[Path | None, Parameter(help="Write JSON lines to this file; - is standard output.")] = None,
    csv: Annotated[
        Path | None, Parameter(help="Write a table, a row per face, to this file; - is standard output.")
    ] = None,
    panel: Annotated[
        Path | None, Parameter(help="Draw NAME.panel.png for each photograph into this directory.")
    ] = None,
    neutral_dir: Annotated[
        Path | None, Parameter(help="Write NAME_FACE.face.png and NAME_FACE.neutral.png into this directory.")
    ] = None,
    crop: Annotated[bool, Parameter(help="The pictures are face crops already: look for no face in them.")] = False,
    detector: Annotated[str, Parameter(help="yuface, none (as --crop) or the path of a YuNet .onnx file.")] = "yuface",
    longest_side: Annotated[
        int, Parameter(help="Scale larger photographs down to this for detection; 0 keeps them (small faces).")
    ] = 640,
    confidence: Annotated[float, Parameter(help="Least score of a detected face, 0 to 1.")] = 0.6,
    rest_face: Annotated[
        Path | None,
        Parameter(help="Photograph of the person at rest, in place of the generated neutral face (dgcn and its like)."),
    ] = None,
    show: Annotated[bool, Parameter(help="Add what the model can show beyond its answer to the JSON lines.")] = False,
) -> int:
    """Read the expressions in photographs."""
    from deadpan.output import result_writers
    from deadpan.prediction import Predictor

    if not paths:
        raise ValueError("no photographs given; usage: deadpan predict PATHS... [OPTIONS], see deadpan predict --help")
    found_by = "none" if crop else detector
    asked = show or panel is not None
    predictor = Predictor(model, found_by, longest_side or None, confidence, show=asked, rest_face=rest_face)
    failed = 0
    with result_writers(
        predictor.expressions, json=json, csv=csv, panel=panel, neutral=neutral_dir, shown=show
    ) as writers:
        for result in predictor.predict_files(paths):
            for write in writers:
                write(result)
            if result.error is not None:
                complain(f"{result.path}: {result.error}")
                failed += 1
    return DONE if not failed else FAILED if failed == len(paths) else PARTLY


@app.command
def models(name: Annotated[str | None, Parameter(help="Print this model's whole card.")] = None, /) -> None:
    """List the released models, or print the card of one."""
    from rich.console import Console

    from deadpan.terminal import print_card, print_models

    if name is None:
        print_models(Console())
    else:
        print_card(name, Console())


data = App(name="data", help="What is known of the data sets, and whether a copy is whole.")
app.command(data)


@data.command(name="list")
def data_list() -> None:
    """List every data set with owner, terms, expressions and where its neutral faces come from."""
    from rich.console import Console

    from deadpan.terminal import print_datasets

    print_datasets(Console())


@data.command(name="check")
def data_check(
    dataset: Annotated[str, Parameter(help="A data set's name, see `deadpan data list`.")],
    root: Annotated[Path, Parameter(help="Where it lies: its folder, or its file.")],
    /,
    *,
    pictures: Annotated[bool, Parameter(help="Open every picture, not only look whether it is there.")] = False,
) -> int:
    """Count a copy of a data set and compare it with what is known (exit code 1 where it differs)."""
    from rich.console import Console

    from deadpan.dataset_check import check
    from deadpan.terminal import print_check

    found = check(dataset, root, pictures=pictures)
    print_check(found, Console())
    for each in found.bad:
        complain(each)
    return DONE if found.whole else PARTLY


@app.command
def prepare(
    dataset: Annotated[str, Parameter(help="A data set's name, see `deadpan data list`.")],
    root: Annotated[Path, Parameter(help="Where it lies: its folder, or its file.")],
    out: Annotated[Path, Parameter(help="Parquet file to write.")],
    /,
    *,
    image_size: Annotated[int, Parameter(help="Pixels of a side that the network will see.")] = 64,
    detector: Annotated[str, Parameter(help="yuface, none or the path of a YuNet .onnx file.")] = "yuface",
    workers: Annotated[int | None, Parameter(help="Processes; one per core by default.")] = None,
    all_frames: Annotated[
        bool, Parameter(help="Take whole sequences, not only first and peak frames (ckplus, oulu, mmi, bu4dfe).")
    ] = False,
) -> int:
    """Detect, align and crop a data set once, into one Parquet file."""
    from deadpan.preparation import prepare as run

    report = run(dataset, root, out, image_size, detector, workers, all_frames=all_frames)
    print(report)
    return PARTLY if report.skipped else DONE


@app.command
def export(
    run: Annotated[Path, Parameter(help="Folder of a finished run.")],
    /,
    *,
    out: Annotated[Path | None, Parameter(help="Folder, or .onnx file, to write; the run's folder by default.")] = None,
    flip: Annotated[
        bool, Parameter(help="Average over the mirrored face, at twice the cost.", negative="--no-flip")
    ] = True,
    strength: Annotated[float, Parameter(help="Share of the generated change that is kept, up to 1.")] = 1.0,
    dead_zone: Annotated[
        float,
        Parameter(help="Regions that change by less, of pixels in [-1, 1], are left alone; 0.03 takes the noise away."),
    ] = 0.0,
    leave_neutral: Annotated[
        float,
        Parameter(help="The change is multiplied by 1 - this * p(neutral); 4 leaves alone whatever may be neutral."),
    ] = 0.0,
    calibration: Annotated[
        str | None, Parameter(help="Prepared file, unseen in training, to balance the frequent expressions on.")
    ] = None,
    metrics: Annotated[
        Path | None, Parameter(help="JSON file, as `score --json` writes it, to put in the card.")
    ] = None,
) -> None:
    """Write a finished run as an ONNX model with its card."""
    import json as json_format

    from deadpan.export import export as write

    figures = None if metrics is None else json_format.loads(metrics.read_text())
    written = write(
        run,
        out,
        flip=flip,
        strength=strength,
        dead_zone=dead_zone,
        leave_neutral=leave_neutral,
        calibration=calibration,
        metrics=figures,
    )
    for path in written:
        print(path)


@app.command
def score(
    model: Annotated[str, Parameter(help="A released model's name, an .onnx file, or the folder of a finished run.")],
    data: Annotated[list[str], Parameter(help="Prepared Parquet files, each optionally followed by @SPLIT.")],
    /,
    *,
    json: Annotated[Path | None, Parameter(help="Also write the figures to this file.")] = None,
) -> None:
    """Measure a trained model on prepared faces that it was not trained on."""
    from deadpan.evaluation import score_files

    score_files(model, data, json)


@app.command
def compare(
    *runs: Annotated[Path, Parameter(help="Folders that `deadpan evaluate` wrote; one alone is described.")],
    out: Annotated[Path, Parameter(help="Folder to write the report, the tables and the figures to.")] = Path(
        "comparison"
    ),
    judge: Annotated[
        Path | None, Parameter(help="Judge of identity to use, an identity.safetensors, instead of training one.")
    ] = None,
) -> None:
    """Compare evaluated runs: figures with intervals, tests, robustness, subgroups, generated faces; one report."""
    from rich.console import Console

    from deadpan.comparison import compare as measure
    from deadpan.report import write_report
    from deadpan.terminal import print_comparison

    comparison = measure(runs, judge)
    print_comparison(comparison.facts, Console())
    write_report(comparison, out)
    for path in sorted(out.iterdir()):
        print(path)


def complain(text: object) -> None:
    """Say on standard error what went wrong."""
    print(f"error: {text}", file=sys.stderr)


for late in (train, evaluate, synthesize):
    app.command(late)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; errors of use are one line, a traceback with DEADPAN_DEBUG=1."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # file names may hold bytes that the terminal cannot show
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    tokens = join_dashes(sys.argv[1:] if arguments is None else arguments)
    try:
        LATE.get(tokens[0] if tokens else "", lambda: None)()
        code = app(
            tokens,
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has seen enough, as in `| head`
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes once more
        return PARTLY
    except (CycloptsError, ValueError, OSError, ModuleNotFoundError, FloatingPointError, BrokenExecutor) as error:
        if os.environ.get("DEADPAN_DEBUG"):
            raise
        complain(explain(error))
        return FAILED
    return code if isinstance(code, int) else DONE


def join_dashes(arguments: Sequence[str]) -> list[str]:
    """Write `--json -` as `--json=-`: cyclopts takes a dash on its own for the start of an option."""
    joined: list[str] = []
    for argument in arguments:
        if argument == "-" and joined and joined[-1].startswith("--") and joined[-1] != "--":
            joined[-1] += "=-"
        else:
            joined.append(argument)
    return joined


def explain(error: Exception) -> str:
    """One line about an error of use, with what to do."""
    if isinstance(error, UnknownOptionError):
        known = [name for argument in error.argument_collection or () for name in argument.names if name[:2] == "--"]
        return f"{first_line(error)} Known options: {', '.join(known)}."
    if isinstance(error, ModuleNotFoundError):
        package = (error.name or "").partition(".")[0]
        if package not in LIGHT and package != "deadpan":
            return f"this command needs the package {package}: pip install 'deadpan[train]'"
        return f"the installation is incomplete: {error}"
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return first_line(error) if isinstance(error, CycloptsError) else str(error)


def first_line(error: Exception) -> str:
    """An error's text without line breaks."""
    return " ".join(str(error).split())


if __name__ == "__main__":
    sys.exit(main())
