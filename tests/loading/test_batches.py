"""Prepared files in memory, and what the loader draws from them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from deadpan.expressions import EXPRESSIONS
from deadpan.loading.augmentation import Augmentation, no_augmentation
from deadpan.loading.batches import Batches, expected_shares, ordered, subject_index
from deadpan.method import Batch
from deadpan.preparation.contents import TableError
from deadpan.preparation.table import FaceTable, open_data, read_table
from tests.support.prepared_files import png, row, write

SIX = tuple(name for name in EXPRESSIONS if name not in ("neutral", "contempt"))


def table_of(path: Path, rows: Iterable[dict[str, Any]]) -> FaceTable:
    return read_table(write(path, rows), None)


def drawn(batches: Iterable[Batch]) -> list[int]:
    """The numbers of the rows, from their pixels, of batches without augmentation."""
    return [round((value.item() + 1) * 127.5) for batch in batches for value in batch.image[:, 0, 32, 32]]


def loader(tables: list[FaceTable], weights: list[float] | None = None, **settings: Any) -> Batches:
    return Batches(tables, weights, **{"batch_size": 8, "augment": no_augmentation(), **settings})


# --- tables ----------------------------------------------------------------------------------------------------------


def test_table_holds_what_was_prepared(tmp_path: Path) -> None:
    rows = [
        row(3, "fear", subject="b", sequence="s", frame=5, split="train", attributes='{"majority": 1.0}'),
        row(4, "anger", subject="a", twin=True),
        row(5, {"anger": 0.5, "neutral": 0.5}),
    ]
    table = table_of(tmp_path / "set.parquet", rows)
    assert table.images.shape == (3, 70, 70, 1) and table.images[:, 0, 0, 0].tolist() == [3, 4, 5]
    assert table.twins.shape[0] == 1 and table.twins[0, 0, 0, 0] == 204
    assert table.twin_index.tolist() == [-1, 0, -1]
    assert (table.subjects, table.subject.tolist()) == (("set/a", "set/b"), [1, 0, -1])
    assert (table.sequence[0], table.frame[0], table.split[0], table.attributes[0]) == (
        "s",
        5,
        "train",
        {"majority": 1},
    )
    assert np.isnan(table.landmarks[[0, 2]]).all() and (table.landmarks[1] == 4).all()
    assert (table.twin_landmarks[1] == 4.5).all()
    assert table.target[2].tolist() == [0.5, 0.5, 0, 0, 0, 0, 0, 0]


def test_one_coloured_picture_makes_all_three_channels(tmp_path: Path) -> None:
    rows = [row(1, "fear"), row(2, "fear", colour=True), row(3, "fear", twin=True)]
    table = table_of(tmp_path / "set.parquet", rows)
    assert table.images.shape == (3, 70, 70, 3) and table.images[:, 5, 5].tolist() == [[1] * 3, [2] * 3, [3] * 3]
    assert (table.channels, table.twins.shape[3]) == (3, 1)
    assert drawn(loader([table], batch_size=3, pairing="twin").epoch(0)) != []


def test_colour_is_read_as_rgb(tmp_path: Path) -> None:
    red = cv2.imencode(".png", np.full((70, 70, 3), (0, 0, 255), np.uint8))[1].tobytes()
    table = table_of(tmp_path / "set.parquet", [row(1, "fear", image=red)])
    assert table.images[0, 0, 0].tolist() == [255, 0, 0]
    assert next(ordered(table, 1)).image[0, :, 0, 0].tolist() == [1, -1, -1]


def test_splits_and_expressions(tmp_path: Path) -> None:
    rows = [
        row(1, {"neutral": 0.6, "anger": 0.4}, split="train"),  # mostly neutral: not one of the six
        row(2, {"neutral": 0.4, "anger": 0.6}, split="train"),
        row(3, "contempt", split="test"),
        row(4, "fear", split="test"),
    ]
    path = write(tmp_path / "set.parquet", rows)
    six = read_table(path, SIX)
    assert six.names.tolist() == ["2", "4"] and six.expressions == SIX
    assert six.target[0].tolist() == [1, 0, 0, 0, 0, 0] and six.classes.tolist() == [0, 2]
    assert open_data(f"{path}@test", SIX, 64).names.tolist() == ["4"]
    assert open_data(str(path), None, 64).restricted(SIX).names.tolist() == ["2", "4"]
    with pytest.raises(TableError, match="no split 'valid'; it has test, train"):
        open_data(f"{path}@valid", None, 64)
    with pytest.raises(TableError, match="has no face that shows one of disgust, surprise"):
        read_table(path, ("disgust", "surprise"))


def test_some_and_take(tmp_path: Path) -> None:
    table = table_of(tmp_path / "set.parquet", [row(n, "fear", subject=f"{n}", twin=n % 2 == 1) for n in range(20)])
    some = table.some(7)
    assert len(some) == 7 and some.names.tolist() == table.some(7).names.tolist()
    assert [int(name) for name in some.names] == sorted(int(name) for name in some.names)
    assert len(table.some(100)) == 20
    part = table.take(np.array([7, 2]))
    assert part.names.tolist() == ["7", "2"] and part.images[:, 0, 0, 0].tolist() == [7, 2]
    assert part.twins[part.twin_index[0], 0, 0, 0] == 207 and part.twin_index[1] == -1
    assert next(ordered(part, 2)).subject.tolist() == [table.subject[7], table.subject[2]]
    assert part.people == sorted(table.subjects[int(table.subject[row])] for row in (2, 7))
    assert len(table.people) == 20 == len(part.subjects)


def test_errors_of_files(tmp_path: Path) -> None:
    good = write(tmp_path / "good.parquet", [row(1, "fear")])
    with pytest.raises(TableError, match=r"image size 64, 96 are needed: .* --image-size 96"):
        read_table(good, None, 96)
    with pytest.raises(TableError, match="does not exist"):
        read_table(tmp_path / "absent.parquet", None)
    text = tmp_path / "text.parquet"
    text.write_text("no Parquet")
    with pytest.raises(TableError, match="is not a Parquet file, or damaged"):
        read_table(text, None)
    pq.write_table(pq.read_table(good).drop_columns(["twin", "frame"]), tmp_path / "few.parquet")
    with pytest.raises(TableError, match="lacks the columns twin, frame"):
        read_table(tmp_path / "few.parquet", None)
    pq.write_table(pq.read_table(good).replace_schema_metadata(None), tmp_path / "bare.parquet")
    with pytest.raises(TableError, match="has no deadpan metadata"):
        read_table(tmp_path / "bare.parquet", None)
    with pytest.raises(TableError, match="format 3, this deadpan reads 2"):
        read_table(write(tmp_path / "new.parquet", [row(1, "fear")], format=3), None)
    with pytest.raises(TableError, match="expected one of happiness, sadness"):
        two = [row(1, "fear", target=[1.0, 0.0])]
        read_table(write(tmp_path / "two.parquet", two, expressions=["anger", "fear"]), ("happiness", "sadness"))
    with pytest.raises(TableError, match="picture 0 is damaged, expected a side of 70"):
        read_table(write(tmp_path / "cut.parquet", [row(1, "fear", image=png(1, False)[:40])]), None)
    with pytest.raises(TableError, match="picture 0 is 48 x 48 pixels"):
        read_table(write(tmp_path / "small.parquet", [row(1, "fear", image=png(1, False, 48))]), None)


# --- what is drawn ---------------------------------------------------------------------------------------------------


def test_an_epoch_holds_every_row_once_in_another_order(tmp_path: Path) -> None:
    batches = loader([table_of(tmp_path / "set.parquet", [row(n, "fear") for n in range(64)])])
    first, second = drawn(batches.epoch(0)), drawn(batches.epoch(1))
    assert batches.steps() == 8
    assert sorted(first) == sorted(second) == list(range(64))
    assert first != second and first != sorted(first)


def test_the_same_pictures_after_a_resume(tmp_path: Path) -> None:
    table = table_of(tmp_path / "set.parquet", [row(n, "fear", twin=n < 9) for n in range(40)])
    settings: dict[str, Any] = {"seed": 5, "augment": Augmentation(), "balance": 0.5}
    straight = list(loader([table], **settings).epoch(3))
    resumed = list(loader([table], **settings).epoch(3, start=2))
    for one, other in zip(straight[2:], resumed, strict=True):
        assert torch.equal(one.image, other.image) and torch.equal(one.neutral, other.neutral)
    assert not torch.equal(straight[0].image, next(loader([table], **(settings | {"seed": 6})).epoch(3)).image)


def test_weights_are_shares_of_every_batch(tmp_path: Path) -> None:
    large = table_of(tmp_path / "a.parquet", [row(n, "fear") for n in range(90)])
    small = table_of(tmp_path / "b.parquet", [row(200 + n, "anger") for n in range(10)])
    batches = loader([large, small], [1.0, 3.0])
    assert batches.steps() == 100 // 8
    for batch in batches.epoch(0):
        assert 5 <= (batch.image[:, 0, 0, 0] > 0.5).sum() <= 7
    natural = drawn(loader([large, small]).epoch(0))
    assert 8 <= sum(number >= 200 for number in natural) <= 10
    assert drawn(loader([large, small], [1.0, 0.0]).epoch(0))
    assert loader([large], pictures_per_epoch=400).steps() == 50
    repeated = drawn(loader([large], pictures_per_epoch=720).epoch(0))
    assert set(np.bincount(repeated).tolist()) == {8}


@pytest.mark.parametrize(("balance", "share"), [(0.0, 0.1), (0.5, 0.25), (1.0, 0.5)])
def test_balance(balance: float, share: float, tmp_path: Path) -> None:
    table = table_of(tmp_path / "set.parquet", [row(n, "fear" if n < 20 else "anger") for n in range(200)])
    numbers = drawn(loader([table], balance=balance, pictures_per_epoch=2000).epoch(0))
    # with weights frequency ** -balance: .1 against .9, .1 ** .5 against .9 ** .5, and equal
    assert np.mean(np.array(numbers) < 20) == pytest.approx(share, abs=0.005)
    shares = dict(zip(EXPRESSIONS, expected_shares([table], None, balance), strict=True))
    assert (shares["fear"], shares["anger"]) == pytest.approx((share, 1 - share))


def test_expected_shares_of_several_tables(tmp_path: Path) -> None:
    tables = [
        table_of(tmp_path / f"{expression}.parquet", [row(n, expression) for n in range(count)])
        for expression, count in (("fear", 30), ("anger", 10))
    ]
    fear, anger = EXPRESSIONS.index("fear"), EXPRESSIONS.index("anger")
    assert expected_shares(tables, None, 0.5)[[fear, anger]] == pytest.approx([0.75, 0.25])
    assert expected_shares(tables, [0.4, 0.6], 0.5)[[fear, anger]] == pytest.approx([0.4, 0.6])


def test_ranks_share_an_epoch(tmp_path: Path) -> None:
    table = table_of(tmp_path / "set.parquet", [row(n, "fear") for n in range(64)])
    parts = [drawn(loader([table], rank=rank, ranks=2).epoch(0)) for rank in range(2)]
    assert [len(part) for part in parts] == [32, 32]
    assert sorted(parts[0] + parts[1]) == list(range(64))


# --- pairs -----------------------------------------------------------------------------------------------------------


def test_twins_and_own_neutral_faces(tmp_path: Path) -> None:
    rows = [row(1, "fear", twin=True), row(2, {"neutral": 0.9, "anger": 0.1}), row(3, {"neutral": 0.7, "fear": 0.3})]
    table = table_of(tmp_path / "set.parquet", rows)
    (batch,) = loader([table], batch_size=3, own_neutral=0.8, pairing="twin").epoch(0)
    pixels = {
        round((image.item() + 1) * 127.5): (round((neutral.item() + 1) * 127.5), paired)
        for image, neutral, paired in zip(
            batch.image[:, 0, 0, 0], batch.neutral[:, 0, 0, 0], batch.paired.tolist(), strict=True
        )
    }
    assert pixels == {1: (201, True), 2: (2, True), 3: (3, False)}
    twin = batch.image[:, 0, 0, 0].argmin()
    assert (batch.landmarks[twin] - (1 - 3)).abs().max() < 1e-4
    assert (batch.neutral_landmarks[twin] - (1.5 - 3)).abs().max() < 1e-4
    assert batch.landmarks.isnan().any((1, 2)).sum() == 2
    assert loader([table], batch_size=1).steps(paired_only=True) == 1
    assert drawn(loader([table], batch_size=1, own_neutral=0.8).epoch(0, paired_only=True)) in ([1, 2], [2, 1])
    (none,) = loader([table], batch_size=3, own_neutral=0.8, pairing="none").epoch(0)
    assert not none.paired.any() and torch.equal(none.image, none.neutral)


def test_hard_pairs_take_another_neutral_picture_of_the_person(tmp_path: Path) -> None:
    rows = [
        row(1, "happiness", subject="a", twin=True),
        row(2, "neutral", subject="a"),
        row(3, "neutral", subject="a"),
        row(4, "happiness", subject="b", twin=True),  # no neutral picture: its twin
        row(5, "neutral", subject="c"),  # the only one: no other
        row(6, "neutral"),  # nobody's
        row(7, "happiness"),
    ]
    table = table_of(tmp_path / "set.parquet", rows)
    seen: dict[int, set[int]] = {}
    for epoch in range(12):
        (batch,) = loader([table], batch_size=7, pairing="hard").epoch(epoch)
        for image, neutral, paired in zip(batch.image, batch.neutral, batch.paired.tolist(), strict=True):
            numbers = [round((face[0, 0, 0].item() + 1) * 127.5) for face in (image, neutral)]
            seen.setdefault(numbers[0], set()).add(numbers[1] if paired else -1)
    assert seen == {1: {2, 3}, 2: {3}, 3: {2}, 4: {204}, 5: {-1}, 6: {-1}, 7: {-1}}


def test_unpaired_rows_show_the_image_itself_even_when_augmented(tmp_path: Path) -> None:
    table = table_of(tmp_path / "set.parquet", [row(n, "fear", twin=n < 16) for n in range(32)])
    (batch,) = loader([table], batch_size=32, augment=Augmentation()).epoch(0)
    assert batch.paired.sum() == 16
    assert torch.equal(batch.image[~batch.paired], batch.neutral[~batch.paired])
    assert batch.image.shape == (32, 3, 64, 64) and batch.image.is_contiguous()


def test_grey_and_coloured_tables_mix(tmp_path: Path) -> None:
    grey = table_of(tmp_path / "a.parquet", [row(10, "fear", twin=True)] * 4)
    colour = table_of(tmp_path / "b.parquet", [row(20, "fear", colour=True, twin=True)] * 4)
    (batch,) = loader([grey, colour]).epoch(0)
    values = {round((value.item() + 1) * 127.5) for value in batch.image[:, 2, 9, 9]}
    neutral = {round((value.item() + 1) * 127.5) for value in batch.neutral[:, 1, 9, 9]}
    assert (values, neutral) == ({10, 20}, {210, 220})


def test_subjects_have_one_number_in_all_tables(tmp_path: Path) -> None:
    one = table_of(tmp_path / "a.parquet", [row(1, "fear", subject="x"), row(2, "fear", subject="y")])
    two = table_of(tmp_path / "b.parquet", [row(3, "fear", subject="x"), row(4, "fear")])
    assert subject_index([one, two]) == subject_index([two, one]) == {"a/x": 0, "a/y": 1, "b/x": 2}
    batch = next(loader([two, one], batch_size=4).epoch(0))
    found = dict(zip(drawn([batch]), batch.subject.tolist(), strict=True))
    assert found == {1: 0, 2: 1, 3: 2, 4: -1}


def test_ordered_keeps_order_and_pixels(tmp_path: Path) -> None:
    table = table_of(tmp_path / "set.parquet", [row(n, "fear", twin=n == 3) for n in range(10)])
    batches = list(ordered(table, 4))
    assert [len(batch) for batch in batches] == [4, 4, 2] and drawn(batches) == list(range(10))
    assert batches[0].paired.tolist() == [False, False, False, True]
    assert batches[0].neutral[3, 0, 0, 0] == pytest.approx(203 / 127.5 - 1)
    assert (batches[0].landmarks[3] == 3 - 3).all() and (batches[0].neutral_landmarks[3] == 0.5).all()


def test_settings_that_do_not_fit(tmp_path: Path) -> None:
    table = table_of(tmp_path / "set.parquet", [row(1, "fear"), row(2, "anger")])
    other = replace(table, image_size=96)
    for settings, complaint in (
        ({"balance": 2.0}, "balance must be between"),
        ({"batch_size": 0}, "must be positive"),
        ({"pairing": "soft"}, "pairing must be twin, hard or none"),
        ({"rank": 2, "ranks": 2}, "rank must be one of 2"),
    ):
        with pytest.raises(ValueError, match=complaint):
            loader([table], **settings)
    with pytest.raises(ValueError, match="one weight of at least 0 for each of the 1 tables"):
        loader([table], [1.0, 2.0])
    with pytest.raises(ValueError, match="differ in image_size: 64 and 96"):
        loader([table, other])
    with pytest.raises(ValueError, match="at least one table"):
        loader([])
    with pytest.raises(ValueError, match="no picture with a known neutral face"):
        next(loader([table]).epoch(0, paired_only=True))
