"""A trained model on prepared faces: its answers, and its generated neutral faces beside the true ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from deadpan.atomic import replacing
from deadpan.batches import FaceTable, open_data, ordered
from deadpan.identity import Identity
from deadpan.method import Batch, Method, Prediction
from deadpan.metrics import Classification, changed_region, region_l1
from deadpan.neutral_faces import Faces, compare_kinds
from deadpan.prediction import Predictor
from deadpan.sheets import to_pixels

Answer = Callable[[Batch], Prediction]
"""Anything that predicts a batch: a method, or a released model on ONNX Runtime."""


@dataclass(frozen=True)
class Measurement:
    """What one model did on one table of faces."""

    classification: Classification
    generated: NDArray[np.float32]  # (P,) L1 of generated to true neutral in the changed region, per paired picture
    copied: NDArray[np.float32]  # (P,) the same for the image itself: what copying the input would reach

    def summary(self) -> dict[str, Any]:
        """The figures as JSON-ready numbers."""
        out = self.classification.summary()
        if len(self.generated):
            out["neutral_l1"] = round(float(self.generated.mean()), 4)
            out["copy_l1"] = round(float(self.copied.mean()), 4)
        return out

    def brief(self) -> str:
        """The figures in one line."""
        out = self.summary()
        text = f"accuracy {out['accuracy']:.4f} balanced {out['balanced_accuracy']:.4f} n {out['pictures']}"
        if "neutral_l1" in out:
            text += f" neutral L1 {out['neutral_l1']:.4f} copy {out['copy_l1']:.4f}"
        return text


@torch.no_grad()
def measure(answer: Answer, table: FaceTable, batch_size: int = 256, *, generates: bool = True) -> Measurement:
    """Let a model answer every picture of a table, in order and without augmentation."""
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
    )


def measure_method(method: Method, table: FaceTable, device: torch.device, batch_size: int = 256) -> Measurement:
    """`measure` for a method on its device, in evaluation mode."""
    was_training = method.training
    method.eval()
    out = measure(lambda batch: method.predict(batch.to(device)), table, batch_size, generates=method.generates)
    method.train(was_training)
    return out


@torch.no_grad()
def measure_neutral(answer: Answer, table: FaceTable, judge: Identity, batch_size: int = 256) -> dict[str, Any]:
    """How near generated neutral faces come to the true ones, for expressive faces and for neutral ones.

    Each kind has {"pictures", "l1", "ssim", "identity"} and the same of copying the input as "copy_...": L1 of the
    range 0 to 1 (of expressive faces inside the changed region), SSIM, and the judge's cosine to the true neutral face.
    """
    rest = table.expressions.index("neutral") if "neutral" in table.expressions else -1

    def parts() -> Iterator[Faces]:
        for batch in ordered(table, batch_size):
            made = answer(batch).neutral.float().cpu()[batch.paired]
            pairs = batch[batch.paired]
            yield Faces(pairs.image, pairs.neutral, made, pairs.target.argmax(1) == rest)

    return compare_kinds(parts(), judge.similarity)


def released_answer(predictor: Predictor) -> Answer:
    """A released model as something that answers batches; what is measured is then what ships."""

    def answer(batch: Batch) -> Prediction:
        probabilities, neutral, _ = predictor.predict_faces(to_pixels(batch.image))
        logits = torch.from_numpy(probabilities).clamp(min=1e-12).log()  # (N, K)
        if neutral is None:
            return Prediction(logits, batch.image)
        pixels = torch.from_numpy(neutral).permute(0, 3, 1, 2)  # (N, 3, S, S)
        return Prediction(logits, pixels / 127.5 - 1)

    return answer


def readings(table: FaceTable) -> dict[str, FaceTable]:
    """The table as it is and, where the data set marks clear pictures ("majority"), those alone, by name."""
    if not any("majority" in attributes for attributes in table.attributes):
        return {"all": table}
    clear = np.array([attributes.get("majority", 0) == 1 for attributes in table.attributes])
    return {"majority": table.take(clear), "plurality": table}


def score_files(model: str, data: Sequence[str], out: Path | None = None) -> dict[str, Any]:
    """Measure a released model, a model file or a run on prepared files and print each reading's figures.

    Returns what is written to `out`: {"FILE@SPLIT": {reading: figures}}.
    """
    if (Path(model) / "model.safetensors").exists():
        from deadpan.checkpoint import load_method

        method, _ = load_method(Path(model))
        answer: Answer = method.predict
        generates, expressions = method.generates, method.expressions
        size = method.config.image_size
    else:
        predictor = Predictor(model)
        answer, generates = released_answer(predictor), predictor.generates
        expressions, size = predictor.expressions, predictor.image_size
    figures: dict[str, Any] = {}
    if len({Path(spec).name for spec in data}) < len(data):
        raise ValueError(f"two files of one name would share a line; score them apart: {', '.join(data)}")
    for spec in data:
        table = open_data(spec, expressions, size)
        entry = figures[Path(spec).name] = {}
        for reading, part in readings(table).items():
            measured = measure(answer, part, generates=generates)
            entry[reading] = measured.summary()
            print(f"{model} on {Path(spec).name}, {reading}: {measured.brief()}")
            print("  recall " + ", ".join(f"{k} {v:.3f}" for k, v in measured.classification.recall.items()))
    if out is not None:
        with replacing(out) as partial:
            partial.write_text(json.dumps(figures, indent=1) + "\n")
    return figures
