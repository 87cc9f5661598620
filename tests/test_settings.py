"""Settings that no work can be done with are refused where they are made, and the message names the range."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest

from deadpan.cli.main import main
from deadpan.evaluation.record import Evaluation
from deadpan.loading.augmentation import Augmentation
from deadpan.methods import METHODS
from deadpan.settings import Range, SettingError, check_ranges
from deadpan.synthetic.synthesize import SynthesisConfig
from deadpan.training.config import TrainingConfig

CONFIGS = [*dict.fromkeys(method.Config for method in METHODS.values()), TrainingConfig, Augmentation, SynthesisConfig]


def test_ranges() -> None:
    assert 0 in Range(0) and 1e9 in Range(0) and -1e-9 not in Range(0)
    assert 0 not in Range(0, above=True) and 1e-9 in Range(0, above=True)
    assert 1 in Range(0, 1) and 1.1 not in Range(0, 1) and 1 not in Range(0, 1, below=True)
    assert math.nan not in Range() and math.inf not in Range(0) and -math.inf not in Range()
    texts = [str(each) for each in (Range(1), Range(0, above=True), Range(0, 0.5), Range(0, 1, True, True))]
    assert texts == ["at least 1", "above 0", "at least 0 and at most 0.5", "above 0 and below 1"]


@dataclasses.dataclass(frozen=True)
class Weights:
    weights: tuple[float, ...]


def test_every_number_of_a_tuple_is_checked() -> None:
    check_ranges(Weights((0.0, 1.0)), weights=Range(0))
    with pytest.raises(SettingError, match=r"weights must be at least 0; got -2"):
        check_ranges(Weights((1.0, -2.0)), weights=Range(0))


def numbers(config: Any) -> list[str]:
    """The settings of a dataclass that are numbers."""
    return [
        field.name
        for field in dataclasses.fields(config)
        if isinstance(field.default, int | float) and not isinstance(field.default, bool)
    ]


@pytest.mark.parametrize("value", [-1, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.__name__)
def test_no_number_may_be_negative_or_infinite_or_none(config: Any, value: float) -> None:
    config()  # the defaults are in range
    assert numbers(config)
    for name in numbers(config):
        with pytest.raises(SettingError, match=rf"{name} must be .*; got {value}|{name} must be 0"):
            config(**{name: value})


@pytest.mark.parametrize("method", METHODS.values(), ids=list(METHODS))
def test_no_method_trains_for_no_epoch_or_without_width_or_rate(method: Any) -> None:
    for name in numbers(method.Config):
        if name == "width" or name.endswith("rate"):
            with pytest.raises(SettingError, match=f"{name} must be above 0; got 0"):
                method.Config(**{name: 0})
    epochs = [name for name in numbers(method.Config) if name.endswith("epochs")]
    with pytest.raises(SettingError, match=f"{' or '.join(epochs)} must be at least 1: if all are 0"):
        method.Config(**dict.fromkeys(epochs, 0))
    for name in epochs:
        method.Config(**dict.fromkeys(epochs, 0) | {name: 1})


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"weights": (1.0, -1.0)}, "weights must be at least 0; got -1"),
        ({"weights": (0.0, 0.0)}, "weights must be above 0 for one data file at least"),
        ({"averaging": 7}, "averaging must be at least 0 and at most 1; got 7"),
        ({"accelerator": "abacus"}, "accelerator must be one of auto, cpu, cuda, gpu, mps; got 'abacus'"),
    ],
)
def test_training_settings(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(SettingError, match=text):
        TrainingConfig(**settings)


@pytest.mark.parametrize("name", ["folds", "robustness"])
def test_evaluation_settings(name: str) -> None:
    with pytest.raises(SettingError, match=f"{name} must be at least"):
        Evaluation(Path("out"), "data", "london-2", **{name: -1})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--width", "0"], "width must be above 0; got 0"),
        (["--width", "-1"], "width must be above 0; got -1"),
        (["--epochs", "-3"], "epochs must be at least 0; got -3"),
        (["--epochs", "0"], "epochs must be at least 1: if all are 0, nothing is trained"),
        (["--rate", "nan"], "rate must be above 0; got nan"),
        (["--weights", "-1"], "weights must be at least 0; got -1"),
        (["--augment.flip", "2"], "flip must be at least 0 and at most 1; got 2"),
    ],
)
def test_the_command_line_says_so_and_leaves_no_folder(
    flags: list[str], text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert main(["train", "cnn", "--data", "people.parquet", "--out", str(out), *flags]) == 2
    said = capsys.readouterr().err
    assert text in said and said.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize("flags", [[], ["--width", "0.5"], ["--batch-size", "8"], ["--augment.flip", "0"]])
def test_settings_left_out_are_their_defaults_where_pydantic_is_imported(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """cyclopts then validates the dataclasses of a command by pydantic, which takes None only if the type allows it."""
    pytest.importorskip("pydantic")
    missing = tmp_path / "people.parquet"
    assert main(["train", "cnn", "--data", str(missing), "--out", str(tmp_path / "run"), *flags]) == 2
    assert f"{missing} does not exist" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert main(["synthesize", str(tmp_path / "file")]) == 2
    assert "the output must be a folder" in capsys.readouterr().err
