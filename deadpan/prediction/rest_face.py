"""A person's face at rest, and how far other faces of that person are from it, as in videos (deadpan.video.rest)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deadpan.faces.networks import Floats
from deadpan.faces.relaxing import shape_of_expression
from deadpan.pixels import RGB
from deadpan.video.rest import features, intensity


class RestFace(NamedTuple):
    """A person's face at rest."""

    aligned: RGB  # (S, S, 3)
    features: Floats | None = None  # (F,); None if no mesh is trusted

    def distance(self, compared: Floats | None) -> float | None:
        """The distance, 0 to 1, of a face with features (F,); None if the features of one of the two are unknown."""
        if compared is None or self.features is None:
            return None
        return float(intensity(compared[None], self.features)[0])


def face_features(probabilities: ArrayLike, mesh: NDArray[np.float32] | None, temperature: float) -> Floats | None:
    """The features (F,) of a face with these probabilities (K,) and mesh (468, 3); None without a mesh."""
    if mesh is None:
        return None
    return features(probabilities, shape_of_expression(mesh.astype(np.float64)), temperature)
