"""A small sagittal scan, written as files, and the one sentence that a bad file is refused with."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from SpinalTapLib.scans.volume import load_volume

SIZE = (7, 14, 11)
"""Columns (i), rows (j), slices (k) of the test scan; every axis another length."""
PIXELS = np.random.default_rng(5).integers(0, 900, SIZE[::-1]).astype(np.int16)


def sagittal_image(pixels: np.ndarray = PIXELS) -> sitk.Image:
    """A sagittal scan as a scanner stores it: i runs backwards, j down, k to the right."""
    image = sitk.GetImageFromArray(pixels)
    image.SetSpacing((0.7, 0.8, 3.0))
    image.SetDirection((0, 0, -1, 1, 0, 0, 0, -1, 0))
    image.SetOrigin((16, -40, 55))
    return image


def write(path: Path, image: sitk.Image | None = None) -> Path:
    sitk.WriteImage(sagittal_image() if image is None else image, str(path), useCompression=path.suffix != ".nii")
    return path


def refusal(path: Path, capfd) -> str:
    """The one sentence that a path is refused with; nothing else may reach the terminal."""
    with pytest.raises(ValueError) as refused, warnings.catch_warnings():
        warnings.simplefilter("error")
        load_volume(path)
    assert capfd.readouterr() == ("", "")
    sentence = str(refused.value)
    assert "\n" not in sentence
    assert ". " not in sentence.replace(str(path), "PATH")
    return sentence
