"""`deadpan train` and `export`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from deadpan.cli.app import say


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

    from deadpan.release.export import export as write

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
        say(path)


train = App(name="train", help="Train a method on prepared faces; `deadpan train METHOD --help` lists its settings.")


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
    from deadpan.interruption import telling_what_is_kept
    from deadpan.loading.augmentation import Augmentation
    from deadpan.methods import METHODS
    from deadpan.training.config import TrainingConfig
    from deadpan.training.resume import epochs_done
    from deadpan.training.train import train as fit

    settings = METHODS[name].Config

    def run(  # type: ignore[no-untyped-def]
        *, data, out, validation=(), expressions=(), start=None, resume=False, config=None, training=None, augment=None
    ):
        def kept():  # type: ignore[no-untyped-def]
            epochs = epochs_done(out)
            return f"stopped after {epochs} epochs, which {out} holds; go on with --resume" if epochs else ""

        with telling_what_is_kept(kept):
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
            settings | None, Parameter(name="*", group=f"{name} settings", negative=None, negative_iterable=())
        ],
        "training": Annotated[TrainingConfig | None, Parameter(name="*", group="Training settings")],
        "augment": Annotated[Augmentation | None, Parameter(group="Augmentation")],
        "return": None,
    }
    return run
