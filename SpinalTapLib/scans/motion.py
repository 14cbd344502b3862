"""Estimate whether a patient has moved between two scans, by rigid registration of the images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

MOVED_MM, MOVED_DEG = 2.0, 2.0
"""Least shift and turn that is told to the user: half of a usual slice, and what shifts the ends of six vertebrae by as
much."""

_MARGIN_MM = 25.0  # around the vertebrae: muscles and canal help the registration
_FIXED_MM = 2.0  # voxels of the first scan during the registration
_SEED = 1


@dataclass(frozen=True)
class Motion:
    """The motion of a patient between two scans.

    Attributes
    ----------
    matrix : ndarray, shape (4, 4)
        From positions in the other scan to those in the first, LPS, mm.
    shift_mm : float
        Shift of the middle of the vertebrae.
    turn_deg : float
        Turn about any axis.
    """

    matrix: np.ndarray
    shift_mm: float
    turn_deg: float

    @property
    def has_moved(self) -> bool:
        """Whether shift or turn is large enough to be told."""
        return self.shift_mm >= MOVED_MM or self.turn_deg >= MOVED_DEG

    @property
    def sentence(self) -> str:
        """One sentence for the user, or an empty text if nothing has moved."""
        if not self.has_moved:
            return ""
        return (
            f"The patient seems to have moved between the two scans, by {self.shift_mm:.0f} mm and "
            f"{self.turn_deg:.0f} degrees."
        )


def estimate_motion(first: sitk.Image, other: sitk.Image, points_lps_mm: np.ndarray) -> Motion:
    """Register the other scan with the first around some points, and return the motion between them.

    Parameters
    ----------
    first, other : sitk.Image
        Grey values of any contrast; their positions are taken to be comparable, up to the motion.
    points_lps_mm : ndarray, shape (n, 3)
        Points on the vertebrae, in the first scan.

    Raises
    ------
    ValueError
        If the scans do not overlap there, or cannot be registered.
    """
    low, high = points_lps_mm.min(0) - _MARGIN_MM, points_lps_mm.max(0) + _MARGIN_MM
    fixed = _cropped(first, low, high)
    centre = (low + high) / 2
    start = sitk.Euler3DTransform()
    start.SetCenter(centre.tolist())
    if not _overlap(fixed, other):
        raise ValueError("The two scans do not overlap, so levels cannot be taken from one to the other.")
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(32)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(0.3, _SEED)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 0.01, 80, relaxationFactor=0.6)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([3, 1])
    method.SetSmoothingSigmasPerLevel([3, 1])
    method.SetInitialTransform(start, inPlace=True)
    try:
        method.Execute(fixed, sitk.Cast(other, sitk.sitkFloat32))
    except RuntimeError as error:
        raise ValueError("The two scans cannot be registered: too little of the spine is in both.") from error
    to_other = np.eye(4)
    to_other[:3, :3] = np.reshape(start.GetMatrix(), (3, 3))
    to_other[:3, 3] = np.array(start.TransformPoint([0.0, 0.0, 0.0]))
    shift = np.array(start.TransformPoint(centre.tolist())) - centre
    cosine = (np.trace(to_other[:3, :3]) - 1) / 2
    turn = float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    return Motion(np.linalg.inv(to_other), float(np.linalg.norm(shift)), turn)


def _cropped(image: sitk.Image, low: np.ndarray, high: np.ndarray) -> sitk.Image:
    """Return an image between two corners, LPS, mm, in voxels of `_FIXED_MM` along the world's axes."""
    size = [max(int(n), 4) for n in np.ceil((high - low) / _FIXED_MM)]
    grid = sitk.Image(size, sitk.sitkFloat32)
    grid.SetSpacing([_FIXED_MM] * 3)
    grid.SetOrigin(low.tolist())
    return sitk.Resample(sitk.Cast(image, sitk.sitkFloat32), grid, sitk.Transform(), sitk.sitkLinear, 0.0)


def _overlap(fixed: sitk.Image, other: sitk.Image) -> bool:
    """Return whether the other image covers at least a tenth of the voxels of the first."""
    inside = sitk.Image(other.GetSize(), sitk.sitkUInt8) + 1
    inside.CopyInformation(other)
    covered = sitk.Resample(inside, fixed, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
    return bool(sitk.GetArrayViewFromImage(covered).mean() > 0.1)
