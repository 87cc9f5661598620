"""The command data as users run it."""

from __future__ import annotations

from pathlib import Path

import pytest

from deadpan.cli.main import main
from deadpan.datasets import DATASETS

DOCS = Path(__file__).parents[2] / "docs"


def test_the_list_names_the_page_with_the_tree_of_every_data_set(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "list"]) == 0
    last = " ".join(capsys.readouterr().out.split()).rpartition("The expected files")[2]
    assert last == ", and where to request them: docs/datasets.md; csv, folders and synthetic: docs/data.md"
    described = {line.strip("# ").partition(":")[0] for line in (DOCS / "datasets.md").read_text("utf-8").splitlines()}
    assert set(DATASETS) - described == {"csv", "folders", "synthetic"}
    assert all(f"`{name}`" in (DOCS / "data.md").read_text("utf-8") for name in ("csv", "folders", "synthetic"))
