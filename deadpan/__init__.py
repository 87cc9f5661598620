"""deadpan recognises facial expressions by removing them.

>>> predictor = deadpan.load("derl")
>>> for face in predictor.predict("photograph.jpg"):
...     print(face.expression, face.probabilities)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deadpan.datasets import DATASETS
    from deadpan.methods import METHODS
    from deadpan.prediction import Predictor, load

__all__ = ["DATASETS", "METHODS", "Predictor", "__version__", "load"]

__version__ = "0.1.0"

HOMES = {
    "DATASETS": "deadpan.datasets",
    "METHODS": "deadpan.methods",  # needs torch: pip install 'deadpan[train]'
    "Predictor": "deadpan.prediction",
    "load": "deadpan.prediction",
}


def __getattr__(name: str) -> Any:
    """Import the public names at their first use, so that `import deadpan` costs nothing."""
    if name not in HOMES:
        raise AttributeError(f"module 'deadpan' has no attribute {name!r}")
    return getattr(import_module(HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
