"""The distance of a face in a photograph from the same person's face at rest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deadpan.faces.relaxing import shape_of_expression
from deadpan.prediction.predictor import Predictor
from deadpan.prediction.rest_face import RestFace
from deadpan.prediction.results import FaceResult
from deadpan.video.rest import features, intensity
from tests.support.photos import PHOTOS
from tests.support.tiny_model import tiny_model

REST, SMILE = PHOTOS / "london_107_neutral.jpg", PHOTOS / "london_107_happiness.jpg"


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_the_distance_is_that_of_videos_and_undoes_the_temperature(temperature: float, tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "tiny.onnx", description={"temperature": temperature})
    alone = Predictor(model)
    own = alone.with_rest_face(REST)
    assert own.predict(REST)[0].distance_from_rest == 0
    (smile,), (calm,) = alone.predict(SMILE), alone.predict(REST)

    def of(face: FaceResult) -> np.ndarray:
        assert face.mesh is not None
        return features([*face.probabilities.values()], shape_of_expression(face.mesh.astype(float)), temperature)

    expected = intensity(of(smile)[None], of(calm))[0]
    (found,) = own.predict(SMILE)
    assert found.distance_from_rest == pytest.approx(expected, abs=1e-6) and expected > 0
    assert found.probabilities == smile.probabilities and alone.predict(SMILE)[0].distance_from_rest is None


def test_the_released_model_tells_a_smile_from_the_face_at_rest() -> None:
    (smile,) = Predictor(rest_face=REST).predict(SMILE)
    assert smile.distance_from_rest is not None and 0.3 < smile.distance_from_rest <= 1


def test_without_a_mesh_the_distance_is_unknown(model_file: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    assert Predictor(model_file, "none", rest_face=noise).predict(REST)[0].distance_from_rest is None
    assert Predictor(model_file, "none", rest_face=REST).predict(noise)[0].distance_from_rest is None
    known = np.zeros(58)
    assert RestFace(noise, None).distance(known) is None
    assert RestFace(noise, known).distance(None) is None
    assert RestFace(noise, known).distance(known) == 0
