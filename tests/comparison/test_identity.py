"""The judge of identity: the same face is the same person, and people it met can be told apart."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from deadpan.comparison.identity import Identity, judge_from, separation, train_identity
from deadpan.evaluation.answers import Answers
from deadpan.loading.batches import ordered
from deadpan.preparation.table import open_data
from deadpan.training.checkpoint import CheckpointError, write_tensors
from tests.support.answers import some_answers


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


def coloured(people: int) -> Answers:
    """Answers over people who are each of one colour, all paired."""
    answers = some_answers(10 * people, people=people)
    draw = np.random.default_rng(1)
    colours = draw.integers(30, 220, (people, 1, 1, 3))[np.arange(len(answers)) % people]
    one, other = (np.clip(colours + draw.integers(-9, 10, (len(answers), 16, 16, 3)), 0, 255) for _ in range(2))
    return dataclasses.replace(
        answers, images=one.astype(np.uint8), true_neutral=other.astype(np.uint8), paired=np.ones(len(answers), bool)
    )


def test_a_judge_learns_from_answers_and_tells_apart_whom_it_has_not_seen(tmp_path: Path) -> None:
    answers = coloured(20)
    judge = judge_from(answers, most=2000)
    assert judge is not None
    assert judge.separation is not None and judge.separation > 0.8
    faces = torch.rand(2, 3, 32, 32) * 2 - 1  # of another size
    assert judge.similarity(faces, faces) == pytest.approx(torch.ones(2), abs=1e-5)
    write_tensors(tmp_path / "identity.safetensors", judge.network.state_dict(), {})
    again = judge_from(answers, tmp_path / "identity.safetensors")
    assert again is not None
    assert torch.equal(judge.similarity(faces, faces.flip(0)), again.similarity(faces, faces.flip(0)))


def test_without_ten_paired_people_there_is_no_judge(tmp_path: Path) -> None:
    assert judge_from(coloured(9)) is None
    answers = coloured(12)
    assert judge_from(dataclasses.replace(answers, paired=np.zeros(len(answers), bool))) is None
    assert judge_from(dataclasses.replace(answers, subjects=np.full(len(answers), ""))) is None
    write_tensors(tmp_path / "other.safetensors", {"a": torch.zeros(1)}, {})
    with pytest.raises(CheckpointError, match="no judge of identity"):
        judge_from(answers, tmp_path / "other.safetensors")
