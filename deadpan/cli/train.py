"""`deadpan train` and `export`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from deadpan.cli.app import say
from deadpan.models import released


def export(
    run: Annotated[
        Path, Parameter(help="Folder of a finished run; with --standalone also a released model or a model file.")
    ],
    /,
    out: Annotated[Path | None, Parameter(help="Folder, or .onnx file, to write; the run's folder by default.")] = None,
    *,
    standalone: Annotated[
        bool,
        Parameter(help="Write one file for programs without deadpan: uint8 faces in, its card inside; see the docs."),
    ] = False,
    flip: Annotated[
        bool,
        Parameter(
            help="Average over the face and its mirror image (default), at twice the cost.", negative="--no-flip"
        ),
    ] = True,
    strength: Annotated[float, Parameter(help="Factor on the generated change, above 0 and at most 1.")] = 1.0,
    dead_zone: Annotated[
        float,
        Parameter(help="Set smaller generated changes (pixels in [-1, 1]) to zero; 0.03 removes the noise."),
    ] = 0.0,
    leave_neutral: Annotated[
        float,
        Parameter(help="Multiply the generated change by max(0, 1 - this * p(neutral)); 4 keeps likely neutral faces."),
    ] = 0.0,
    calibration: Annotated[
        str | None, Parameter(help="Prepared file, not used in training, on which to fit the offsets of the logits.")
    ] = None,
    temperature: Annotated[
        str | None, Parameter(help="Prepared file, not used in training, on which to fit how sure the model is.")
    ] = None,
    metrics: Annotated[
        tuple[Path, ...], Parameter(help="JSON files whose figures to put into the card, as `score --json` writes.")
    ] = (),
) -> None:
    """Write a finished run as an ONNX model with its card, or a model as one ONNX file for other programs."""
    import json as json_format

    figures = {name: part for path in metrics for name, part in json_format.loads(path.read_text()).items()}
    chosen: dict[str, Any] = {
        "flip": flip,
        "strength": strength,
        "dead_zone": dead_zone,
        "leave_neutral": leave_neutral,
        "calibration": calibration,
        "temperature": temperature,
        "metrics": figures or None,
    }
    if standalone:
        from deadpan.release.standalone import export_standalone

        usual = {"flip": True, "strength": 1.0, "dead_zone": 0.0, "leave_neutral": 0.0}
        say(export_standalone(run, out, **{key: value for key, value in chosen.items() if value != usual.get(key)}))
        return
    if str(run) in released() and not run.exists():
        raise ValueError(f"{run} is a released model and exported already; --standalone writes it for other programs")
    from deadpan.release.export import export as write

    for path in write(run, out, **chosen):
        say(path)


train = App(name="train", help="Train a method on prepared faces; `deadpan train METHOD --help` lists its settings.")


def add_methods() -> None:
    """Add a command for each method to `deadpan train`; its flags are the fields of the method's Config.

    This is called only for `deadpan train`, because the modules that define the dataclasses import torch.
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
            return f"stopped after {epochs} epochs, stored in {out}; add --resume to continue" if epochs else ""

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
            list[str], Parameter(help="Prepared Parquet files to train on, each optionally followed by @SPLIT.")
        ],
        "out": Annotated[Path, Parameter(help="Run folder to write.")],
        "validation": Annotated[list[str], Parameter(help="Prepared Parquet files to validate on after each epoch.")],
        "expressions": Annotated[
            list[str], Parameter(help="Expressions to train on; those of the first file by default.")
        ],
        "start": Annotated[
            Path | None, Parameter(help="Run, released model or model file (.onnx) whose weights to start from.")
        ],
        "resume": Annotated[bool, Parameter(help="Continue a run that was stopped.")],
        "config": Annotated[
            settings | None, Parameter(name="*", group=f"{name} settings", negative=None, negative_iterable=())
        ],
        "training": Annotated[TrainingConfig | None, Parameter(name="*", group="Training settings")],
        "augment": Annotated[Augmentation | None, Parameter(group="Augmentation")],
        "return": None,
    }
    return run
