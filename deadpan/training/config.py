"""The settings of training that do not depend on the method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from deadpan.settings import COUNT, NOT_NEGATIVE, SHARE, SettingError, check_ranges

ACCELERATORS = ("auto", "cpu", "cuda", "gpu", "mps")


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of training that do not depend on the method; every default is our choice.

    Raises SettingError for a value out of range.
    """

    batch_size: int = 64
    "Pictures per batch."
    pictures_per_epoch: int = 0
    "Pictures per epoch; 0 uses the number of pictures in the data files."
    weights: tuple[float, ...] = ()
    "Share of each data file in a batch, in the order of the files; the shares for later stages may follow."
    pairing: Literal["twin", "hard", "none"] = "twin"
    "Neutral face to pair with a picture: its twin, another neutral picture of the person, or none."
    own_neutral: float = 0.0
    "A picture without a neutral face whose label is at least this neutral is its own neutral face; 0: never."
    balance: float = 0.0
    "Balance of the classes: 0 keeps their frequencies in the data, 1 makes them equal."
    averaging: float = 0.999
    "Decay per step of the running average of the weights."
    seed: int = 0
    "Seed of the initial weights, the order of the pictures and the augmentation."
    precision: Literal["32-true", "bf16-mixed"] = "bf16-mixed"
    "Number format in which the networks compute."
    accelerator: str = "auto"
    "Fabric's accelerator: auto, cpu, cuda, mps."
    threads: int = 0
    "Number of CPU threads; 0 keeps torch's default."
    keep: Literal["last", "best"] = "last"
    "Weights to keep: of the last epoch, or of the epoch with the best accuracy on the validation files."
    validation_pictures: int = 1000
    "Greatest number of pictures of each validation file that are measured after an epoch."
    sheet_every: int = 5
    "Number of epochs between contact sheets of generated neutral faces."
    tensorboard: bool = False
    "Also write logs for TensorBoard."

    def __post_init__(self) -> None:
        check_ranges(
            self,
            **dict.fromkeys(("batch_size", "sheet_every", "validation_pictures"), COUNT),
            **dict.fromkeys(("pictures_per_epoch", "threads", "seed", "weights"), NOT_NEGATIVE),
            **dict.fromkeys(("averaging", "own_neutral", "balance"), SHARE),
        )
        if self.weights and not any(self.weights):
            raise SettingError("weights must be above 0 for one data file at least; got 0 for all")
        if self.accelerator not in ACCELERATORS:
            raise SettingError(f"accelerator must be one of {', '.join(ACCELERATORS)}; got {self.accelerator!r}")
