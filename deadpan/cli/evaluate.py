"""`deadpan evaluate`, `score` and `compare`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from deadpan.cli.app import complain, say

if TYPE_CHECKING:
    from deadpan.evaluation.record import Evaluation


def score(
    model: Annotated[str, Parameter(help="A released model's name, an .onnx file, or the folder of a finished run.")],
    data: Annotated[list[str], Parameter(help="Prepared Parquet files, each optionally followed by @SPLIT.")],
    /,
    *,
    json: Annotated[Path | None, Parameter(help="Also write the figures to this file.")] = None,
) -> None:
    """Measure a trained model on prepared faces that were not used to train it."""
    from rich.console import Console

    from deadpan.cli.terminal import print_scores
    from deadpan.evaluation.score import are_scores
    from deadpan.evaluation.score import score as measure
    from deadpan.files import write_json
    from deadpan.outputs import check_file

    if json is not None:
        check_file(json, "--json", are_scores, [model, *data], "a file name")
    measured = measure(model, data)
    print_scores(model, measured, Console())
    if json is not None:
        figures = {name: {reading: each.figures() for reading, each in of.items()} for name, of in measured.items()}
        write_json(json, figures)


def compare(
    *runs: Annotated[Path, Parameter(help="Folders written by `deadpan evaluate`, at least one.")],
    out: Annotated[Path, Parameter(help="Folder to write the report, the tables and the figures to.")] = Path(
        "comparison"
    ),
    judge: Annotated[
        Path | None, Parameter(help="Identity judge to use (an identity.safetensors) instead of training one.")
    ] = None,
) -> None:
    """Compare evaluated runs and write a report: figures with intervals and tests, robustness, subgroups, faces."""
    from rich.console import Console

    from deadpan.cli.terminal import print_comparison
    from deadpan.comparison.compare import compare as measure
    from deadpan.report.page import check_report_folder, write_report

    check_report_folder(out, [*runs, *([judge] if judge else [])])
    comparison = measure(runs, judge)
    print_comparison(comparison.facts, Console())
    write_report(comparison, out)
    for path in sorted(out.iterdir()):
        say(path)


evaluate = App(
    name="evaluate",
    help="Evaluate a method, or a trained model, by a protocol with person-independent folds. All answers and figures "
    "are written to a folder. `deadpan evaluate METHOD --help` lists a method's settings.",
)


def add_evaluations() -> None:
    """Add a command for each method to `deadpan evaluate`, and the default command for trained models."""
    from deadpan.methods import METHODS

    for name in METHODS:
        if name not in evaluate:
            evaluate.command(evaluate_command(name), name=name)
    if evaluate.default_command is None:
        evaluate.default(evaluate_model)


DATA = Annotated[str, Parameter(help="Prepared Parquet file, optionally followed by @SPLIT.")]

FOLDER = Annotated[Path | None, Parameter(help="Folder to write or to continue in; METHOD-PROTOCOL by default.")]

PROTOCOL = Annotated[str, Parameter(help="Name of a protocol, see docs/protocols.md.")]

FOLDS = Annotated[int, Parameter(help="Number of person-independent folds, if the protocol does not define its own.")]

JOBS = Annotated[int, Parameter(help="Number of folds to run at the same time, each in its own process.")]

RAY = Annotated[str | None, Parameter(help="Address of a Ray cluster to run the folds on; local starts one.")]

TEST = Annotated[list[str], Parameter(help="Prepared files to test on, for the protocol cross.")]

ROBUSTNESS = Annotated[int, Parameter(help="Number of pictures per fold to degrade in seven ways; 0 skips this test.")]


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
    """Evaluate a trained model on a protocol without retraining; fails if it was trained on any tested person."""
    from deadpan.evaluation.record import Evaluation

    if not model.exists():
        raise ValueError(f"{model} is neither a method nor a trained model; see deadpan evaluate --help")
    chosen = out or Path(f"{model.stem}-{protocol}")
    judged = Evaluation(chosen, data, protocol, model=model, folds=folds, test=tuple(test), robustness=robustness)
    return run_evaluation(judged, jobs, ray)


def evaluate_command(name: str) -> Callable[..., int]:
    """The function behind `deadpan evaluate NAME`, whose flags cyclopts reads from its annotations."""
    from deadpan.evaluation.record import Evaluation
    from deadpan.loading.augmentation import Augmentation
    from deadpan.methods import METHODS
    from deadpan.training.config import TrainingConfig

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

    run.__doc__ = f"Train {name} in every fold of a protocol and test it on the people who were held out.\n"
    run.__annotations__ = {
        "data": DATA,
        "protocol": PROTOCOL,
        "out": FOLDER,
        "folds": FOLDS,
        "jobs": JOBS,
        "ray": RAY,
        "selection": Annotated[
            Literal["last", "inner"],
            Parameter(help="Weights to test: of the last epoch, or of the best epoch on an inner validation fold."),
        ],
        "extra": Annotated[list[str], Parameter(help="Prepared files of other people to add to the training data.")],
        "start": Annotated[
            Path | None, Parameter(help="Run or model, trained on other people, whose weights initialise every fold.")
        ],
        "test": TEST,
        "robustness": ROBUSTNESS,
        "config": Annotated[
            settings | None, Parameter(name="*", group=f"{name} settings", negative=None, negative_iterable=())
        ],
        "training": Annotated[TrainingConfig | None, Parameter(name="*", group="Training settings")],
        "augment": Annotated[Augmentation | None, Parameter(group="Augmentation")],
        "return": int,
    }
    return run


def run_evaluation(judged: Evaluation, jobs: int, ray: str | None) -> int:
    """Run the folds and print the table; returns the exit code: 0, 1 if some folds failed, 2 if all failed."""
    from rich.console import Console

    from deadpan.cli.terminal import print_evaluation
    from deadpan.evaluation.evaluate import evaluate as run
    from deadpan.evaluation.record import folds_done, readings
    from deadpan.interruption import telling_what_is_kept

    def kept() -> str:
        done = len(folds_done(judged))
        return f"stopped after {done} folds; run the same command again to continue from the last finished epoch"

    with telling_what_is_kept(kept):
        ended = run(judged, jobs, ray)
    failed = [fold for fold in ended if fold["status"] != "done"]
    for fold in failed:
        complain(f"fold {fold['name']}: {fold['error']}")
    facts = json.loads((Path(judged.out) / "evaluation.json").read_text())
    if len(failed) < len(ended):
        print_evaluation(facts, readings(judged), Console())
    return 0 if not failed else 2 if len(failed) == len(ended) else 1
