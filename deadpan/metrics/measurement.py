"""Measures one model on one table: its predictions, and the neutral faces that it generates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from deadpan.loading.batches import ordered
from deadpan.method import Batch, Method, Prediction
from deadpan.metrics.classification import Classification
from deadpan.metrics.groups import groups_in
from deadpan.metrics.neutral_faces import changed_region, region_l1
from deadpan.metrics.reliability import reliability
from deadpan.preparation.table import FaceTable

Answer = Callable[[Batch], Prediction]
"""A function that predicts a batch: a method, or a released model on ONNX Runtime."""


@dataclass(frozen=True)
class Measurement:
    """Figures of one model on one table of faces."""

    classification: Classification
    generated: NDArray[np.float32]  # (P,) L1 of generated and true neutral face in the changed region, per pair
    copied: NDArray[np.float32]  # (P,) the same for the image itself: the L1 of copying the input
    attributes: tuple[dict[str, Any], ...] = ()  # of the N pictures

    def summary(self) -> dict[str, Any]:
        """The figures as JSON-ready numbers."""
        out = self.classification.summary()
        if len(self.generated):
            out["neutral_l1"] = round(float(self.generated.mean()), 4)
            out["copy_l1"] = round(float(self.copied.mean()), 4)
        return out

    def figures(self) -> dict[str, Any]:
        """The summary, the expected calibration error, and the accuracy of each group of pictures with the largest gap.

        "groups" is {"gender": {"accuracy": {"female": share}, "gap": largest - least}}.
        """
        groups = {}
        for name, found in groups_in(self.attributes).items():
            accuracy = {group: round(float(self.classification.right[rows].mean()), 4) for group, rows in found.items()}
            groups[name] = {"accuracy": accuracy, "gap": round(max(accuracy.values()) - min(accuracy.values()), 4)}
        calibration = {"calibration_error": reliability(self.classification)["ece"]}
        return {**self.summary(), **calibration, **({"groups": groups} if groups else {})}

    def brief(self) -> str:
        """The figures on one line."""
        out = self.summary()
        text = f"accuracy {out['accuracy']:.4f} balanced {out['balanced_accuracy']:.4f} n {out['pictures']}"
        if "neutral_l1" in out:
            text += f" neutral L1 {out['neutral_l1']:.4f} copy {out['copy_l1']:.4f}"
        return text


@torch.no_grad()
def measure(answer: Answer, table: FaceTable, batch_size: int = 256, *, generates: bool = True) -> Measurement:
    """Predict every picture of a table, in order and without augmentation, and measure the predictions."""
    probabilities, targets, generated, copied = [], [], [], []
    for batch in ordered(table, batch_size):
        prediction = answer(batch)
        probabilities.append(prediction.logits.float().softmax(1).cpu().numpy())
        targets.append(batch.target.numpy())
        if generates and batch.paired.any():
            pairs = batch[batch.paired]
            region = changed_region(pairs.image, pairs.neutral)
            made = region_l1(prediction.neutral.float().cpu()[batch.paired], pairs.neutral, region).numpy()
            own = region_l1(pairs.image, pairs.neutral, region).numpy()
            generated.append(made[np.isfinite(made)])
            copied.append(own[np.isfinite(own)])
    empty = np.zeros(0, np.float32)
    return Measurement(
        Classification(table.expressions, np.concatenate(probabilities), np.concatenate(targets)),
        np.concatenate(generated or [empty]),
        np.concatenate(copied or [empty]),
        tuple(table.attributes),
    )


def measure_method(method: Method, table: FaceTable, device: torch.device, batch_size: int = 256) -> Measurement:
    """`measure` for a method on its device, in evaluation mode."""
    was_training = method.training
    method.eval()
    out = measure(lambda batch: method.predict(batch.to(device)), table, batch_size, generates=method.generates)
    method.train(was_training)
    return out
