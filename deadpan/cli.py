"""The command line: one command is one thin function, and imports what is heavy only when it runs."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter, UnknownOptionError

from deadpan import __version__

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


@app.command
def prepare(
    dataset: Annotated[str, Parameter(help="A data set's name: csv, ferplus, folders, synthetic.")],
    root: Annotated[Path, Parameter(help="Where it lies: its folder, or its file.")],
    out: Annotated[Path, Parameter(help="Parquet file to write.")],
    /,
    *,
    image_size: Annotated[int, Parameter(help="Pixels of a side that the network will see.")] = 64,
    detector: Annotated[str, Parameter(help="yuface, none or the path of a YuNet .onnx file.")] = "yuface",
    workers: Annotated[int | None, Parameter(help="Processes; one per core by default.")] = None,
) -> int:
    """Detect, align and crop a data set once, into one Parquet file."""
    from deadpan.preparation import prepare as run

    report = run(dataset, root, out, image_size, detector, workers)
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
    for path in write(run, out, flip=flip, strength=strength, calibration=calibration, metrics=figures):
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


def complain(text: object) -> None:
    """Say on standard error what went wrong."""
    print(f"error: {text}", file=sys.stderr)


train = App(name="train", help="Train a method on prepared faces; `deadpan train METHOD --help` lists its settings.")
app.command(train)
synthesize = App(name="synthesize", help="Draw people, neutral and with each expression, with exact ground truth.")
app.command(synthesize)


def add_methods() -> None:
    """Give `deadpan train` a command for each method, whose flags are the fields of the method's Config.

    Done only when that is what runs: the dataclasses stand beside code that imports torch.
    """
    from deadpan.methods import METHODS

    for name in METHODS:
        if name not in train:
            train.command(train_command(name), name=name)


def train_command(name: str) -> Callable[..., None]:
    """The function behind `deadpan train NAME`, whose flags cyclopts reads from its annotations."""
    from deadpan.augment import Augmentation
    from deadpan.methods import METHODS
    from deadpan.run_folder import TrainingConfig
    from deadpan.training import train as fit

    settings = METHODS[name].Config

    def run(  # type: ignore[no-untyped-def]
        *, data, out, validation=(), expressions=(), start=None, resume=False, config=None, training=None, augment=None
    ):
        fit(
            name,
            config or settings(),
            data,
            out,
            training,
            augmentation=augment,
            expressions=expressions or None,
            validation=validation,
            start=start,
            resume=resume,
        )

    run.__doc__ = (METHODS[name].__doc__ or name) + "\n"
    run.__annotations__ = {
        "data": Annotated[
            list[str], Parameter(help="Prepared Parquet file, optionally followed by @SPLIT; repeatable.")
        ],
        "out": Annotated[Path, Parameter(help="Run folder to write.")],
        "validation": Annotated[list[str], Parameter(help="Prepared Parquet file to measure after each epoch.")],
        "expressions": Annotated[
            list[str], Parameter(help="Expressions to learn; those of the first file by default.")
        ],
        "start": Annotated[Path | None, Parameter(help="Finished or stopped run whose weights to begin from.")],
        "resume": Annotated[bool, Parameter(help="Go on with a run that was stopped.")],
        "config": Annotated[
            settings, Parameter(name="*", group=f"{name} settings", negative=None, negative_iterable=())
        ],
        "training": Annotated[TrainingConfig, Parameter(name="*", group="Training settings")],
        "augment": Annotated[Augmentation, Parameter(group="Augmentation")],
        "return": None,
    }
    return run


def add_synthesis() -> None:
    """Give `deadpan synthesize` the fields of its dataclass as flags."""
    from deadpan.synthetic.generate import SynthesisConfig
    from deadpan.synthetic.generate import synthesize as draw

    def run(out, /, *, config=None):  # type: ignore[no-untyped-def]
        """Draw people into the folder OUT."""
        draw(out, config or SynthesisConfig())

    run.__annotations__ = {
        "out": Annotated[Path, Parameter(help="Folder to write.")],
        "config": Annotated[SynthesisConfig, Parameter(name="*")],
        "return": None,
    }
    if synthesize.default_command is None:
        synthesize.default(run)


LATE = {"train": add_methods, "synthesize": add_synthesis}
"""Commands whose flags come from dataclasses in heavy modules; built when they are called for."""


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
