"""Contact sheets, for a person to look at: each column one face, rows of image, generated neutral and true neutral."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from deadpan.files import write_png
from deadpan.method import Batch, Method
from deadpan.pixels import to_pixels


def sheet(rows: list[NDArray[np.uint8]], columns: int = 16, scale: int = 1) -> NDArray[np.uint8]:
    """Lay out equally long rows of (N, S, S, 3) pictures in blocks of `columns`; uint8 RGB."""
    blocks = []
    for start in range(0, len(rows[0]), columns):
        for row in rows:
            part = list(row[start : start + columns])
            part += [np.full_like(part[0], 255)] * (columns - len(part))
            blocks.append(np.concatenate(part, 1))
        blocks.append(np.full((4, blocks[-1].shape[1], 3), 255, np.uint8))
    out = np.concatenate(blocks[:-1], 0)
    return np.asarray(out.repeat(scale, 0).repeat(scale, 1))


@torch.no_grad()
def write_sheet(path: Path, method: Method, batch: Batch) -> None:
    """Write what `method` makes of a batch: image, generated neutral and, where any picture has one, true neutral."""
    was_training = method.training
    method.eval()
    shown = [batch.image, method.predict(batch).neutral]
    method.train(was_training)
    if batch.paired.any():
        shown.append(torch.where(batch.paired.view(-1, 1, 1, 1), batch.neutral, torch.ones_like(batch.image)))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_png(path, sheet([to_pixels(images.float().cpu().numpy()) for images in shown]))
