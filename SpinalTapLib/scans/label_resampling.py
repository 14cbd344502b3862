"""Put a label map onto the grid of another image."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk


def on_grid(labels: sitk.Image, grid: sitk.Image, to_labels: np.ndarray | None = None) -> sitk.Image:
    """Return a label map on the grid of another image; interpolated between the slices of a thick stack.

    Parameters
    ----------
    labels : sitk.Image
        Label values.
    grid : sitk.Image
        Gives size, spacing, origin and direction.
    to_labels : ndarray, shape (4, 4), optional
        From positions in `grid` to positions in `labels`, LPS, mm; the identity if omitted.
    """
    transform = sitk.AffineTransform(3)
    if to_labels is not None:
        transform.SetMatrix(np.asarray(to_labels, float)[:3, :3].ravel().tolist())
        transform.SetTranslation(np.asarray(to_labels, float)[:3, 3].tolist())
    return sitk.Resample(labels, grid, transform, sitk.sitkLabelLinear, 0, labels.GetPixelID())
