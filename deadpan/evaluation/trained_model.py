"""A trained model, from a finished run or an ONNX file: its predictions on a table, and whom it was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from deadpan.evaluation.answers import Answers
from deadpan.evaluation.folds import FoldError, check_unseen
from deadpan.faces.alignment import Alignment
from deadpan.faces.landmarks import POINTS
from deadpan.loading.batches import ordered
from deadpan.method import Batch, Prediction
from deadpan.metrics.measurement import Answer
from deadpan.models import ModelError, card, released
from deadpan.pixels import to_network, to_pixels
from deadpan.prediction.predictor import Predictor
from deadpan.preparation.contents import TableError
from deadpan.preparation.table import FaceTable, subjects_of
from deadpan.training.checkpoint import load_method


@dataclass(frozen=True)
class TrainedModel:
    """A model that predicts batches, with the facts of its training."""

    path: Path
    method: str
    expressions: tuple[str, ...]
    image_size: int
    generates: bool
    alignment: Alignment  # of the faces that it was trained on
    answer: Answer
    facts: Mapping[str, Any] = field(default_factory=dict)  # of the checkpoint, or the card; empty without one

    @torch.no_grad()
    def answer_pixels(self, expressions: tuple[str, ...], pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probabilities (N, K) among `expressions` for pictures (N, S, S, 3) uint8, without any other input."""
        count = len(pixels)
        image = torch.from_numpy(to_network(pixels))  # (N, 3, S, S)
        unknown = torch.full((count, POINTS, 2), torch.nan)
        target, nobody = torch.zeros(count, len(self.expressions)), torch.full((count,), -1)
        nothing = torch.zeros(count, dtype=torch.bool)
        return self.among(
            expressions, self.answer(Batch(image, image, image, nothing, target, nobody, unknown, unknown))
        )

    def among(self, expressions: tuple[str, ...], prediction: Prediction) -> NDArray[np.float32]:
        """Probabilities (N, K) of `expressions`; the model's other expressions are dropped, the rest renormalised."""
        columns = [self.expressions.index(name) for name in expressions]
        shares = prediction.logits.float()[:, columns].softmax(1)  # as those of all, scaled
        return np.asarray(shares.cpu().numpy(), np.float32)

    def check_alignment(self, tested: FaceTable) -> None:
        """TableError where the faces were aligned by other points than those the model was trained on."""
        if tested.alignment != self.alignment:
            raise TableError(
                f"{tested.path} holds faces aligned by {tested.alignment}, {self.path.name} learnt from ones aligned "
                f"by {self.alignment}: prepare the data set again with --alignment {self.alignment}"
            )

    def check_unseen(self, tested: FaceTable) -> None:
        """FoldError where the model was trained on a tested person.

        A model that does not name its people is refused if it was trained on the tested data set and people are known.
        """
        if "subjects" in self.facts:
            check_unseen(self.facts["subjects"], tested.people)
            return
        both = {each["dataset"] for each in self.facts.get("data", [])} & set(tested.sources)
        if both and tested.people:
            names = ", ".join(sorted(both))
            raise FoldError(f"{self.path} was trained on unnamed people of {names}: it cannot be tested on it")


def open_model(model: str | Path) -> TrainedModel:
    """Open a finished run (folder or weights), a released model (name) or an ONNX file with its card.

    CheckpointError for a folder without a finished run, ModelError for a file or name that is no model.
    """
    path = Path(model)
    is_run = path.suffix == ".safetensors" or (path / "model.safetensors").exists()
    if is_run or (path.is_dir() and str(model) not in released()):
        method, facts = load_method(path)
        run = (facts["method"], method.expressions, int(method.config.image_size), method.generates)
        return TrainedModel(path, *run, facts.get("alignment", "five"), method.predict, facts)
    predictor = Predictor(model)
    try:
        facts = card(model)
    except ModelError:
        facts = {}
    shape = (predictor.method, predictor.expressions, predictor.image_size, predictor.generates)
    return TrainedModel(predictor.path, *shape, predictor.alignment, released_answer(predictor), facts)


@torch.no_grad()
def collect_answers(model: TrainedModel, table: FaceTable, fold: str, batch_size: int = 256) -> Answers:
    """The model's predictions on every picture of a table, among the table's expressions."""
    probabilities, images, neutral, true_neutral, paired = [], [], [], [], []
    for batch in ordered(table, batch_size):
        prediction = model.answer(batch)
        probabilities.append(model.among(table.expressions, prediction))
        images.append(to_pixels(batch.image.numpy()))
        neutral.append(to_pixels(prediction.neutral.float().cpu().numpy()))
        true_neutral.append(to_pixels(batch.neutral.numpy()))
        paired.append(batch.paired.numpy())
    return Answers(
        expressions=table.expressions,
        names=table.names,
        folds=np.full(len(table), fold),
        subjects=np.array(subjects_of(table), np.str_),
        sequences=table.sequence,
        frames=table.frame,
        attributes=table.attributes,
        target=table.target,
        probabilities=np.concatenate(probabilities),
        images=np.concatenate(images),
        neutral=np.concatenate(neutral) if model.generates else None,
        paired=np.concatenate(paired),
        true_neutral=np.concatenate(true_neutral),
    )


def released_answer(predictor: Predictor) -> Answer:
    """A released model as a function of batches, so that the shipped network is what gets measured."""

    def answer(batch: Batch) -> Prediction:
        probabilities, neutral, _ = predictor.predict_faces(to_pixels(batch.image.cpu().numpy()))
        logits = torch.from_numpy(probabilities).clamp(min=1e-12).log()  # (N, K)
        return Prediction(logits, batch.image if neutral is None else torch.from_numpy(to_network(neutral)))

    return answer
