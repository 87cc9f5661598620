"""The commands whose flags are the fields of dataclasses in heavy modules; they are built when they are called for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

train = App(name="train", help="Train a method on prepared faces; `deadpan train METHOD --help` lists its settings.")
synthesize = App(name="synthesize", help="Draw people, neutral and with each expression, with exact ground truth.")


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
