"""Classification figures: accuracy, balanced accuracy, macro F1, recall and the confusion matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, f1_score


@dataclass(frozen=True)
class Classification:
    """Predictions of one model on N pictures with the truth: the expression with the target's largest share."""

    expressions: tuple[str, ...]
    probabilities: NDArray[np.float32]  # (N, K)
    target: NDArray[np.float32]  # (N, K)

    def __len__(self) -> int:
        return len(self.target)

    @property
    def truth(self) -> NDArray[np.int64]:
        """(N,) index of the true expression."""
        return np.asarray(self.target.argmax(1))

    @property
    def answer(self) -> NDArray[np.int64]:
        """(N,) index of the predicted expression."""
        return np.asarray(self.probabilities.argmax(1))

    @property
    def right(self) -> NDArray[np.bool_]:
        """(N,) whether the prediction is the true expression."""
        return np.asarray(self.answer == self.truth)

    @property
    def accuracy(self) -> float:
        """Share of pictures predicted correctly."""
        return float(self.right.mean())

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall over the expressions that occur."""
        return float(balanced_accuracy_score(self.truth, self.answer))

    @property
    def macro_f1(self) -> float:
        """Mean F1 over the expressions that occur."""
        return float(f1_score(self.truth, self.answer, labels=np.unique(self.truth), average="macro", zero_division=0))

    @property
    def confusion(self) -> NDArray[np.int64]:
        """(K, K) counts; rows are the truth, columns the prediction."""
        return np.asarray(confusion_matrix(self.truth, self.answer, labels=range(len(self.expressions))))

    @property
    def recall(self) -> dict[str, float]:
        """Share predicted correctly of each expression that occurs."""
        counts = self.confusion
        rows = zip(self.expressions, counts.diagonal(), counts.sum(1), strict=True)
        return {name: float(hit / total) for name, hit, total in rows if total}

    def summary(self) -> dict[str, Any]:
        """The figures as JSON-ready numbers, rounded to four places."""
        return {
            "pictures": len(self),
            "accuracy": round(self.accuracy, 4),
            "balanced_accuracy": round(self.balanced_accuracy, 4),
            "macro_f1": round(self.macro_f1, 4),
            "recall": {name: round(value, 4) for name, value in self.recall.items()},
        }
