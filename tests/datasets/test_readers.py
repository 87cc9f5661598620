"""What every reader does: names its expressions, says what is missing, and leaves litter alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from deadpan.datasets import (
    DATASETS,
    affectnet,
    bp4d,
    bp4dplus,
    bu3dfe,
    bu4dfe,
    ckplus,
    cremad,
    fer2013,
    jaffe,
    kdef,
    london,
    mmi,
    oulu,
    rafd,
    rafdb,
    read,
    sfew,
    videos,
    yale,
)
from deadpan.datasets.sample import DatasetError, Sample
from deadpan.expressions import check_expressions
from tests.support.data_trees import put, touch

LAB = (ckplus, oulu, mmi, bu3dfe, bu4dfe, bp4d, bp4dplus)
WILD = (affectnet, cremad, fer2013, jaffe, kdef, london, rafd, rafdb, sfew, videos, yale)


@pytest.mark.parametrize("name", DATASETS)
def test_every_reader_names_its_expressions_and_what_is_missing(name: str, tmp_path: Path) -> None:
    assert check_expressions(DATASETS[name].expressions)
    with pytest.raises(DatasetError, match="expected"):
        read(name, tmp_path / "absent")


def test_unknown_data_set_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="'fer'; known are ckplus, oulu, "):
        read("fer", tmp_path)


def test_readers_need_no_torch() -> None:
    code = "import sys, deadpan.datasets; sys.exit('torch' in sys.modules or 'pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("module", LAB, ids=lambda module: module.__name__.rsplit(".", 1)[-1])
def test_a_wrong_root_is_told_the_tree_and_where_to_request(module: object, tmp_path: Path) -> None:
    facts, read = module.FACTS, module.read  # type: ignore[attr-defined]
    assert check_expressions(module.EXPRESSIONS)  # type: ignore[attr-defined]
    assert set(facts.counts) <= {"subjects", "sequences", "pictures", *module.EXPRESSIONS}  # type: ignore[attr-defined]
    touch(tmp_path, "holidays/beach.jpg", ".DS_Store")
    for root, found in ((tmp_path / "absent", "does not exist"), (tmp_path, "holidays")):
        with pytest.raises(DatasetError, match=found) as caught:
            read(root)
        assert facts.tree in str(caught.value) and facts.request in str(caught.value)
    with pytest.raises(DatasetError, match="is not a folder"):
        read(tmp_path / "holidays" / "beach.jpg")


@pytest.mark.parametrize("module", WILD, ids=lambda module: module.__name__.split(".")[-1])
def test_a_wrong_root_names_the_tree_and_where_to_ask(module: ModuleType, tmp_path: Path) -> None:
    assert check_expressions(module.EXPRESSIONS) == module.EXPRESSIONS
    (tmp_path / "holiday").mkdir()
    put(tmp_path, "holiday/beach.bmp")
    for root in (tmp_path / "absent", tmp_path):
        with pytest.raises(DatasetError) as error:
            module.read(root)
        assert str(root) in str(error.value)
        assert module.FACTS.tree in str(error.value) and module.FACTS.request in str(error.value)


@pytest.mark.parametrize("module", WILD, ids=lambda module: module.__name__.split(".")[-1])
def test_known_counts_add_up(module: ModuleType) -> None:
    counts = module.FACTS.counts
    assert set(counts) <= {"subjects", "sequences", "pictures", *module.EXPRESSIONS}
    if set(module.EXPRESSIONS) <= set(counts):
        assert sum(counts[name] for name in module.EXPRESSIONS) == counts["pictures"]


def test_labels_that_are_no_text(tmp_path: Path) -> None:
    rubbish = bytes(range(128, 256)) * 4
    (tmp_path / "fer2013.csv").write_bytes(b"emotion,pixels,Usage\n" + rubbish)
    with pytest.raises(DatasetError, match=r"fer2013.csv, line 2"):
        fer2013.read(tmp_path)
    (tmp_path / "training.csv").write_bytes(rubbish)
    with pytest.raises(DatasetError, match=r"training.csv, line 1"):
        affectnet.read(tmp_path)
    (tmp_path / "EmoLabel").mkdir()
    (tmp_path / "EmoLabel" / "list_patition_label.txt").write_bytes(rubbish)
    with pytest.raises(DatasetError, match=r"list_patition_label.txt, line 1"):
        rafdb.read(tmp_path)


@pytest.mark.parametrize(
    ("read", "name"), [(jaffe.read, "KA.NE1.1.tiff"), (kdef.read, "AF01NES.JPG"), (london.read, "001_03.jpg")]
)
def test_hidden_folders_are_left_alone(read: Callable[[Path], list[Sample]], name: str, tmp_path: Path) -> None:
    put(tmp_path, name, f".Trash/{name}")
    assert [sample.name for sample in read(tmp_path)] == [name]
