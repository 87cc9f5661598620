"""The settings of a training that belong to no method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from deadpan.settings import COUNT, NOT_NEGATIVE, SHARE, SettingError, check_ranges

ACCELERATORS = ("auto", "cpu", "cuda", "gpu", "mps")


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of a training that belong to no method; every default is our choice."""

    batch_size: int = 64
    "Pictures of a batch."
    pictures_per_epoch: int = 0
    "Pictures of an epoch; 0 takes as many as the data files hold."
    weights: tuple[float, ...] = ()
    "Share of each data file in a batch, in the order of the files; may go on with the shares of the next stages."
    pairing: Literal["twin", "hard", "none"] = "twin"
    "Which neutral face is paired: the drawn twin, another neutral picture of the person, or none."
    own_neutral: float = 0.0
    "A real picture whose share of neutral votes reaches this is its own neutral face; 0 switches it off."
    balance: float = 0.0
    "From 0, classes as frequent as in the data, to 1, all equally frequent."
    averaging: float = 0.999
    "Decay per step of the running average of the weights."
    seed: int = 0
    "Decides initial weights, order and augmentation."
    precision: Literal["32-true", "bf16-mixed"] = "bf16-mixed"
    "Arithmetic of the networks."
    accelerator: str = "auto"
    "Fabric's accelerator: auto, cpu, cuda, mps."
    threads: int = 0
    "CPU threads; 0 leaves it to torch."
    keep: Literal["last", "best"] = "last"
    "Weights of the last epoch, or of the one with the best accuracy on the validation files."
    validation_pictures: int = 1000
    "At most so many pictures of each validation file are measured after an epoch."
    sheet_every: int = 5
    "Epochs between two sheets of generated neutral faces."
    tensorboard: bool = False
    "Also log for TensorBoard."

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
