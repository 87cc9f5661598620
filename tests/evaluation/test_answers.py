"""The file of answers: it comes back as it was written, folds join, and other files are refused."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deadpan.evaluation.answers import Answers, AnswersError, joined, read_answers, write_answers
from tests.support.answers import some_answers


def same(one: Answers, other: Answers) -> bool:
    def equal(a: Any, b: Any) -> bool:
        return bool(np.array_equal(a, b)) if isinstance(a, np.ndarray) else bool(a == b)

    return all(equal(getattr(one, field.name), getattr(other, field.name)) for field in fields(Answers))


@pytest.mark.parametrize("generates", [True, False])
def test_answers_come_back_as_they_were_written(tmp_path: Path, generates: bool) -> None:
    answers = some_answers(generates=generates)
    write_answers(tmp_path / "a.parquet", answers)
    assert same(read_answers(tmp_path / "a.parquet"), answers)


def test_folds_join_and_rows_are_taken() -> None:
    one, other = some_answers(3), some_answers(4, seed=1)
    both = joined([one, other])
    assert len(both) == 7
    assert same(both.take(np.arange(3, 7)), other)
    assert same(both.take(np.arange(7) < 3), one)
    with pytest.raises(AnswersError, match="differ"):
        joined([one, some_answers(3, generates=False)])


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("no table")
    with pytest.raises(AnswersError, match="deadpan evaluate"):
        read_answers(tmp_path / "text.parquet")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    with pytest.raises(AnswersError, match="no answers"):
        read_answers(tmp_path / "other.parquet")
