"""deadpan recognises facial expressions by removing them.

>>> predictor = deadpan.load()
>>> for face in predictor.predict("photograph.jpg"):
...     print(face.expression, face.probabilities)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from deadpan.errors import how_to_install

if TYPE_CHECKING:
    from deadpan.comparison.compare import Comparison, compare
    from deadpan.datasets import DATASETS
    from deadpan.datasets.sample import Sample
    from deadpan.errors import DeadpanError
    from deadpan.evaluation.answers import Answers, read_answers
    from deadpan.evaluation.evaluate import evaluate
    from deadpan.evaluation.protocols import PROTOCOLS
    from deadpan.evaluation.record import Evaluation
    from deadpan.evaluation.score import score
    from deadpan.expressions import EXPRESSIONS
    from deadpan.loading.augmentation import Augmentation
    from deadpan.method import Batch, Method, Prediction, Shown, Stage
    from deadpan.methods import METHODS
    from deadpan.prediction.collected import Results
    from deadpan.prediction.panel import draw_panel
    from deadpan.prediction.predictor import Predictor, load
    from deadpan.prediction.results import FaceResult, PhotographResult
    from deadpan.preparation.prepare import prepare
    from deadpan.preparation.table import FaceTable, read_table
    from deadpan.release.export import export
    from deadpan.release.standalone import export_standalone
    from deadpan.report.page import write_report
    from deadpan.synthetic.synthesize import SynthesisConfig, synthesize
    from deadpan.training.config import TrainingConfig
    from deadpan.training.train import train
    from deadpan.version import __version__

HOMES = {
    "DATASETS": "datasets",
    "DeadpanError": "errors",
    "EXPRESSIONS": "expressions",
    "FaceResult": "prediction.results",
    "PhotographResult": "prediction.results",
    "Predictor": "prediction.predictor",
    "Results": "prediction.collected",
    "Sample": "datasets.sample",
    "__version__": "version",
    "draw_panel": "prediction.panel",
    "load": "prediction.predictor",
    # from here on: pip install 'deadpan[train]'
    "Answers": "evaluation.answers",
    "Augmentation": "loading.augmentation",
    "Batch": "method",
    "Comparison": "comparison.compare",
    "Evaluation": "evaluation.record",
    "FaceTable": "preparation.table",
    "METHODS": "methods",
    "Method": "method",
    "PROTOCOLS": "evaluation.protocols",
    "Prediction": "method",
    "Shown": "method",
    "Stage": "method",
    "SynthesisConfig": "synthetic.synthesize",
    "TrainingConfig": "training.config",
    "compare": "comparison.compare",
    "evaluate": "evaluation.evaluate",
    "export": "release.export",
    "export_standalone": "release.standalone",
    "prepare": "preparation.prepare",
    "read_answers": "evaluation.answers",
    "read_table": "preparation.table",
    "score": "evaluation.score",
    "synthesize": "synthetic.synthesize",
    "train": "training.train",
    "write_report": "report.page",
}
"""Where each public name is defined."""

__all__ = [
    "DATASETS",
    "EXPRESSIONS",
    "METHODS",
    "PROTOCOLS",
    "Answers",
    "Augmentation",
    "Batch",
    "Comparison",
    "DeadpanError",
    "Evaluation",
    "FaceResult",
    "FaceTable",
    "Method",
    "PhotographResult",
    "Prediction",
    "Predictor",
    "Results",
    "Sample",
    "Shown",
    "Stage",
    "SynthesisConfig",
    "TrainingConfig",
    "__version__",
    "compare",
    "draw_panel",
    "evaluate",
    "export",
    "export_standalone",
    "load",
    "prepare",
    "read_answers",
    "read_table",
    "score",
    "synthesize",
    "train",
    "write_report",
]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use, so that `import deadpan` loads neither torch nor a model."""
    if name not in HOMES:
        raise AttributeError(f"module 'deadpan' has no attribute {name!r}")
    try:
        return getattr(import_module(f"deadpan.{HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package == "deadpan":
            raise
        message = f"deadpan.{name} needs the package {package}: {how_to_install(package)}"
        raise ModuleNotFoundError(message, name=error.name) from error


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
