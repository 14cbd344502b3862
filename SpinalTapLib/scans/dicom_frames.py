"""Multi-frame DICOM (enhanced MR): do the frames of a file lie where a volume has its slices?

ITK takes the frames as they come and asks the file for one distance between them, whatever their positions say.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from .dicom_elements import values

_IMAGE_POSITION = (0x0020, 0x0032)

UNEVEN_MM = 0.5
"""A frame further than this off its even place is not where the volume would have it."""


def frame_positions(path: Path, frames: int) -> np.ndarray | None:
    """Return where the frames of a file start, LPS, mm, shape (frames, 3), or None if the file does not tell."""
    try:
        positions = [[float(part) for part in value.split(b"\\")] for value in values(path, _IMAGE_POSITION)]
    except ValueError:
        return None
    if len(positions) != frames or any(len(position) != 3 for position in positions):
        return None
    return np.array(positions)


def check_frames(positions: np.ndarray, normal: np.ndarray, where: str) -> None:
    """Raise ValueError unless frames lie one after the other, evenly, along a normal, shape (3,)."""
    steps = np.linspace(positions[0], positions[-1], len(positions))
    off = float(np.linalg.norm(positions - steps, axis=1).max())
    step = (positions[-1] - positions[0]) / (len(positions) - 1)
    aside = float(np.linalg.norm(step - (step @ normal) * normal)) * (len(positions) - 1)
    if off > UNEVEN_MM or aside > UNEVEN_MM or np.linalg.norm(step) < UNEVEN_MM / 10:
        raise ValueError(
            f"{where} is one file whose pictures do not follow each other evenly through the body (several echoes or "
            "phases, another order, or one is missing); export it as single slices."
        )


def place_frames(image: sitk.Image, positions: np.ndarray) -> None:
    """Put an image, whose slices are evenly spaced frames, where its frames lie."""
    step = (positions[-1] - positions[0]) / (len(positions) - 1)
    distance = float(np.linalg.norm(step))
    direction = np.reshape(image.GetDirection(), (3, 3))
    direction[:, 2] = step / distance
    image.SetOrigin(positions[0].tolist())
    image.SetSpacing((*image.GetSpacing()[:2], distance))
    image.SetDirection(direction.ravel().tolist())
