"""The commands whose flags are the fields of dataclasses in heavy modules; they are built when they are called for."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

if TYPE_CHECKING:
    from deadpan.cross_validation import Evaluation

train = App(name="train", help="Train a method on prepared faces; `deadpan train METHOD --help` lists its settings.")
synthesize = App(name="synthesize", help="Draw people, neutral and with each expression, with exact ground truth.")


evaluate = App(
    name="evaluate",
    help="Judge a method, or a finished model, by a protocol: person-independent folds, figures, everything on disk; "
    "`deadpan evaluate METHOD --help` lists a method's settings.",
)


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


def add_evaluations() -> None:
    """Give `deadpan evaluate` a command for each method, and one for models that are trained already."""
    from deadpan.methods import METHODS

    for name in METHODS:
        if name not in evaluate:
            evaluate.command(evaluate_command(name), name=name)
    if evaluate.default_command is None:
        evaluate.default(evaluate_model)


DATA = Annotated[str, Parameter(help="Prepared Parquet file, optionally followed by @SPLIT.")]
FOLDER = Annotated[Path | None, Parameter(help="Folder to write, or to go on in; METHOD-PROTOCOL by default.")]
PROTOCOL = Annotated[str, Parameter(help="A protocol by name, see docs/protocols.md.")]
FOLDS = Annotated[int, Parameter(help="Person-independent folds, where the protocol has no division of its own.")]
JOBS = Annotated[int, Parameter(help="Folds at a time, in processes of this machine.")]
RAY = Annotated[str | None, Parameter(help="Address of a Ray cluster to run folds on; local starts one.")]
TEST = Annotated[list[str], Parameter(help="Prepared files to test on, for the protocol cross.")]
ROBUSTNESS = Annotated[int, Parameter(help="Pictures of each fold to degrade in seven ways; 0 does not.")]


def evaluate_model(
    model: Annotated[Path, Parameter(help="Folder of a finished run, or an .onnx file.")],
    data: DATA,
    /,
    *,
    protocol: PROTOCOL,
    out: FOLDER = None,
    folds: FOLDS = 10,
    jobs: JOBS = 1,
    ray: RAY = None,
    test: TEST = [],  # noqa: B006 - read only
    robustness: ROBUSTNESS = 0,
) -> int:
    """Let a trained model answer a protocol's pictures as it came; people whom it learnt from are refused."""
    from deadpan.cross_validation import Evaluation

    if not model.exists():
        raise ValueError(f"{model} is neither a method nor a trained model; see deadpan evaluate --help")
    chosen = out or Path(f"{model.stem}-{protocol}")
    judged = Evaluation(chosen, data, protocol, model=model, folds=folds, test=tuple(test), robustness=robustness)
    return run_evaluation(judged, jobs, ray)


def evaluate_command(name: str) -> Callable[..., int]:
    """The function behind `deadpan evaluate NAME`, whose flags cyclopts reads from its annotations."""
    from deadpan.augment import Augmentation
    from deadpan.cross_validation import Evaluation
    from deadpan.methods import METHODS
    from deadpan.run_folder import TrainingConfig

    settings = METHODS[name].Config

    def run(  # type: ignore[no-untyped-def]
        data, /, *, protocol, out=None, folds=10, jobs=1, ray=None, selection="last", extra=(), start=None, test=(),
        robustness=0, config=None, training=None, augment=None,
    ):  # fmt: skip
        judged = Evaluation(
            out or Path(f"{name}-{protocol}"),
            data,
            protocol,
            name,
            config or settings(),
            training=training or TrainingConfig(),
            augmentation=augment or Augmentation(),
            folds=folds,
            selection=selection,
            extra=tuple(extra),
            start=start,
            test=tuple(test),
            robustness=robustness,
        )
        return run_evaluation(judged, jobs, ray)

    run.__doc__ = f"Train {name} in every fold of a protocol and test it on people it has not seen.\n"
    run.__annotations__ = {
        "data": DATA,
        "protocol": PROTOCOL,
        "out": FOLDER,
        "folds": FOLDS,
        "jobs": JOBS,
        "ray": RAY,
        "selection": Annotated[
            Literal["last", "inner"], Parameter(help="Last epoch, or the best on an inner validation fold.")
        ],
        "extra": Annotated[list[str], Parameter(help="Prepared files of other people to train on too.")],
        "start": Annotated[Path | None, Parameter(help="Run of other people whose weights every fold begins from.")],
        "test": TEST,
        "robustness": ROBUSTNESS,
        "config": Annotated[
            settings, Parameter(name="*", group=f"{name} settings", negative=None, negative_iterable=())
        ],
        "training": Annotated[TrainingConfig, Parameter(name="*", group="Training settings")],
        "augment": Annotated[Augmentation, Parameter(group="Augmentation")],
        "return": int,
    }
    return run


def run_evaluation(judged: Evaluation, jobs: int, ray: str | None) -> int:
    """Run the folds, print the table, and return 0, 1 where a fold failed, 2 where all did."""
    from rich.console import Console

    from deadpan.cross_validation import evaluate as run
    from deadpan.cross_validation import readings
    from deadpan.terminal import print_evaluation

    ended = run(judged, jobs, ray)
    failed = [fold for fold in ended if fold["status"] != "done"]
    for fold in failed:
        print(f"error: fold {fold['name']}: {fold['error']}", file=sys.stderr)
    facts = json.loads((judged.out / "evaluation.json").read_text())
    if len(failed) < len(ended):
        print_evaluation(facts, readings(judged), Console())
    return 0 if not failed else 2 if len(failed) == len(ended) else 1


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


LATE = {"train": add_methods, "evaluate": add_evaluations, "synthesize": add_synthesis}
"""Commands whose flags come from dataclasses in heavy modules; built when they are called for."""
