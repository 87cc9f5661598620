"""What became of a data set that was prepared: how many faces, and which pictures could not be used and why."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


def skipped_path(out: Path) -> Path:
    """The list of unusable pictures that belongs to a prepared file."""
    return out.with_name(out.name + ".skipped.jsonl")


@dataclass(frozen=True)
class PreparationReport:
    """What became of a data set."""

    dataset: str
    out: Path
    kept: int
    twins: int  # of the kept ones, those with a neutral twin
    reasons: dict[str, int]  # why pictures were skipped, and how many
    seconds: float

    @property
    def skipped(self) -> int:
        """How many pictures could not be used."""
        return sum(self.reasons.values())

    def __str__(self) -> str:
        rate = (self.kept + self.skipped) / max(self.seconds, 1e-9)
        lines = [
            f"{self.out}: {self.kept:,} faces ({self.twins:,} with twin) in {self.seconds:.1f} s, {rate:.0f} per s"
        ]
        lines += [f"  skipped {count:,}: {reason}" for reason, count in sorted(self.reasons.items())]
        return "\n".join(lines + ([f"  each in {skipped_path(self.out)}"] if self.reasons else []))


@dataclass(frozen=True)
class Skipped:
    """A picture that could not be used: `reason` is one of few, `detail` names what exactly."""

    name: str
    reason: str
    detail: str
