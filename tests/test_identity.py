"""The judge of identity: the same face is the same person, and people it met can be told apart."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from deadpan.batches import open_data, ordered
from deadpan.identity import Identity, separation, train_identity


def test_a_face_is_itself_and_embeddings_have_length_one() -> None:
    judge = Identity().eval()
    faces = torch.rand(3, 3, 64, 64) * 2 - 1
    assert torch.allclose(judge(faces).norm(dim=1), torch.ones(3), atol=1e-5)
    assert torch.allclose(judge.similarity(faces, faces), torch.ones(3), atol=1e-5)
    assert (judge.similarity(faces, faces.flip(0))[::2] < 1).all()


def test_people_that_it_met_are_told_apart(drawn: Path) -> None:
    table = open_data(str(drawn), None, 64)
    judge = train_identity([table], pictures=1280)
    assert separation(judge, table) > 0.95
    batch = next(iter(ordered(table, 64)))
    again = train_identity([table], pictures=1280)
    assert torch.equal(judge(batch.image), again(batch.image))


def test_one_person_cannot_be_told_from_others(drawn: Path) -> None:
    table = open_data(str(drawn), None, 64)
    with pytest.raises(ValueError, match="at least two known subjects; got 1"):
        train_identity([dataclasses.replace(table, subjects=table.subjects[:1])])
