"""One person ready for rendering: the geometry and textures that all pictures of the person share, built once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deadpan.synthetic.atlas import BAND, atlas_of, texels
from deadpan.synthetic.creases import fold_maps
from deadpan.synthetic.glasses import make_glasses
from deadpan.synthetic.hair import curtains, hair_shell, paint_hair
from deadpan.synthetic.heads import load_head
from deadpan.synthetic.person import Person, make_person
from deadpan.synthetic.rig import EYE, HAIR, LASH, UPPER_TEETH, Array, Head, Indices, normals
from deadpan.synthetic.skin import paint_skin


@dataclass(frozen=True)
class Figure:
    """One person's meshes and textures.

    The V head vertices move with the expression. The E extra vertices (hair, glasses) stay fixed. The triangles are
    sorted: the opaque head first, then glasses, then hair, because the rasteriser treats each group differently.
    """

    head: Head
    person: Person
    vertices: Array  # (V, 3) the relaxed face
    extra: Array  # (E, 3)
    extra_normals: Array  # (E, 3)
    head_triangles: Indices  # for normals
    triangles: Indices  # (T, 3) into V + E
    first_glasses: int  # index of the first glasses triangle; from here on triangles are visible from both sides
    first_hair: int  # index of the first hair triangle; from here on the opacity map cuts holes
    material: Indices  # (T,)
    lashes: Indices  # (L, 3)
    uv: Array  # (V + E, 2) texels
    place: Array  # (V + E, 3) template coordinates
    traits: Array  # (V + E, 4) what shading interpolates: texel (column, row), openness, 1 inside the mouth
    skin: Array  # (rows, columns, 4)
    hair: Array  # (rows, columns, 4)
    opacity: Array  # (rows, columns) of the hair
    folds: Array  # (F, rows, columns)
    eyes: Array  # (2, 3) centres in template coordinates, the person's right first
    teeth_front: float  # the largest z of the upper teeth in template coordinates
    look: Array  # (2, 3) unit vectors from the eye centres through the middle of the open lids

    def moved(self, weights: Mapping[str, float]) -> Array:
        """Return the head's vertices (V, 3) with these blendshape weights applied."""
        return self.head.posed(self.vertices, weights)


def make_figure(name: str, seed: int, assets: Path | None = None) -> Figure:
    """Return the figure of the person with this seed in the head family `name`; `assets` is its converted file."""
    head = load_head(name, assets)
    atlas = atlas_of(name, assets)
    person = make_person(head, seed)
    vertices = head.person(person.modes)
    shell, shell_triangles, source = hair_shell(head, person, vertices)
    hanging, hanging_triangles, hanging_uv = curtains(head, person, vertices)
    rims, rim_triangles, rim_material = make_glasses(head, person, vertices)
    extra = np.concatenate([shell, hanging, rims]).astype(np.float32)
    base = len(vertices)
    solid = head.triangles[head.material != LASH]
    hair = np.concatenate([shell_triangles + base, hanging_triangles + base + len(shell)])
    glasses = rim_triangles + base + len(shell) + len(hanging)
    own = texels(head.template)
    extra_triangles = np.concatenate([hair, glasses]) - base
    extra_normals = normals(extra, np.ascontiguousarray(extra_triangles, np.int32))
    # long hair is a thin sheet: normals away from the head's axis light it like the outside of a full head of hair
    outward = extra[len(shell) : len(shell) + len(hanging)] - np.array([0, 0, 0.15], np.float32)
    outward[:, 1] *= 0.15
    extra_normals[len(shell) : len(shell) + len(hanging)] = outward / np.linalg.norm(outward, axis=1, keepdims=True)
    rest = np.full(len(rims) + len(hanging), 0.85)
    uv = np.concatenate([own, own[source], hanging_uv, np.zeros((len(rims), 2))]).astype(np.float32)
    openness = np.concatenate([head.openness, np.maximum(head.openness[source], 0.6), rest])
    inside = np.concatenate([head.inside, np.zeros(len(extra))])
    skin = paint_skin(atlas, person)
    fur = paint_hair(atlas, person)
    return Figure(
        head=head,
        person=person,
        vertices=vertices,
        extra=extra,
        extra_normals=extra_normals,
        head_triangles=np.ascontiguousarray(solid),
        triangles=np.concatenate([solid, glasses, hair]).astype(np.int32),
        first_glasses=len(solid),
        first_hair=len(solid) + len(glasses),
        material=np.concatenate(
            [head.material[head.material != LASH], rim_material, np.full(len(hair), HAIR, np.uint8)]
        ),
        lashes=np.ascontiguousarray(head.triangles[head.material == LASH]),
        uv=uv,
        place=np.concatenate([head.template, head.template[source], hanging, rims]).astype(np.float32),
        traits=np.column_stack([uv, openness, inside]).astype(np.float32),
        skin=np.concatenate([skin, np.zeros((BAND, *skin.shape[1:]), np.float32)]),
        hair=fur,
        opacity=np.ascontiguousarray(fur[..., 3]),
        folds=fold_maps(name, assets),
        eyes=eye_centres(head),
        teeth_front=float(head.template[head.triangles[head.material == UPPER_TEETH], 2].max(initial=1.4)),
        look=_straight_look(head),
    )


def eye_centres(head: Head) -> Array:
    """Return the centres (2, 3) of the eyeballs in template coordinates, the person's right (x < 0) first."""
    ball = head.template[np.unique(head.triangles[head.material == EYE])]
    sides = [ball[ball[:, 0] < 0], ball[ball[:, 0] > 0]]
    return np.stack([(side.min(0) + side.max(0)) / 2 for side in sides]).astype(np.float32)


def _straight_look(head: Head) -> Array:
    """Return the direction (2, 3) of each eye when it looks straight ahead.

    It is measured from the lids, because eyeballs and lids of a head family may not be concentric.
    """
    marks = head.template[head.landmarks]
    lids = np.stack([marks[36:42].mean(0), marks[42:48].mean(0)])
    ahead = lids - eye_centres(head)
    ahead[:, :2] *= (0.3, 0.6)  # both eyes nearly parallel; the upper lid covers more of the iris than the lower one
    return np.asarray(ahead / np.linalg.norm(ahead, axis=1, keepdims=True), np.float32)
