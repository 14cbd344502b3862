"""SagittalVolume: a scan as an array (slice, row, column) in the sagittal frame, with its affine matrix to LPS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from .checks import (
    about_empty_slices,
    about_hounsfield,
    check_resolution,
    check_size,
    check_slices,
    clean_intensities,
    is_label_map,
)
from .orientation import SourceGrid, grid_of_matrix, sagittal_grid
from .reader import read_image


@dataclass(frozen=True, eq=False)
class SagittalVolume:
    """A scan whose axes are reordered (never resampled) to the sagittal frame.

    Attributes
    ----------
    array : ndarray, shape (slice, row, column), float32
        Finite grey values; slices from right to left, rows from superior to inferior, columns from anterior to
        posterior, as closely as the input's axes allow.
    matrix : ndarray, shape (4, 4)
        (slice, row, column, 1) to LPS mm at voxel centres.
    name : str
        Name of the scan in messages and files.
    source : SourceGrid or None
        The input's own grid; None for a volume that was resampled or created by hand.
    warnings : tuple of str
        Plain sentences for the user.

    Examples
    --------
    >>> volume = load_volume("t2_lumbar.nii.gz")
    >>> volume.to_lps([7, 100, 120])            # LPS mm of row 100, column 120 of slice 7
    >>> image = volume.to_source(volume.array)  # sitk.Image on the file's own grid
    """

    array: np.ndarray
    matrix: np.ndarray
    name: str = "volume"
    source: SourceGrid | None = None
    warnings: tuple[str, ...] = ()

    @property
    def spacing_mm(self) -> np.ndarray:
        """Distance between neighbouring slices, rows and columns, mm, shape (3,)."""
        return np.linalg.norm(self.matrix[:3, :3], axis=0)

    def to_lps(self, index: np.ndarray) -> np.ndarray:
        """Return LPS positions, mm, shape (..., 3), of (slice, row, column), shape (..., 3), fractional or not."""
        return np.asarray(index, dtype=float) @ self.matrix[:3, :3].T + self.matrix[:3, 3]

    def to_index(self, points_lps: np.ndarray) -> np.ndarray:
        """Return fractional (slice, row, column) indices, shape (..., 3), of LPS positions in mm, shape (..., 3)."""
        offsets = np.asarray(points_lps, dtype=float) - self.matrix[:3, 3]
        return offsets @ np.linalg.inv(self.matrix[:3, :3]).T

    def to_source(self, array: np.ndarray) -> sitk.Image:
        """Convert an array on this volume's grid to an image in the input's own geometry.

        Parameters
        ----------
        array : ndarray, shape (slice, row, column)
            Labels or grey values, of this volume's shape. Booleans become uint8, float16 becomes float32.

        Returns
        -------
        sitk.Image
            With exactly the size, spacing, origin and direction of the input. Without a `source`, the image's axes
            k, j, i are slice, row and column.

        Raises
        ------
        ValueError
            If the shape is not that of this volume.
        """
        array = np.asarray(array)
        if array.shape != self.array.shape:
            raise ValueError(
                f"An array of shape {array.shape} does not fit a volume of shape {self.array.shape}; give one on the "
                "volume's grid."
            )
        grid = self.source or self._own_grid()
        stored = {np.dtype(bool): np.uint8, np.dtype(np.float16): np.float32}.get(array.dtype, array.dtype)
        image = sitk.GetImageFromArray(grid.from_sagittal(array.astype(stored, copy=False)))
        image.SetSpacing(grid.spacing)
        image.SetOrigin(grid.origin)
        image.SetDirection(grid.direction)
        return image

    def _own_grid(self) -> SourceGrid:
        slices, rows, columns = self.array.shape
        spacing = self.spacing_mm[::-1]
        direction = self.matrix[:3, 2::-1] / spacing
        origin = self.matrix[:3, 3]
        return SourceGrid((columns, rows, slices), tuple(spacing), tuple(origin), tuple(direction.ravel()))


def load_volume(
    path: str | Path, series: str | int | None = None, pixel_mm: float | None = None, files: Sequence[Path] = ()
) -> SagittalVolume:
    """Read a scan and reorder its axes to the sagittal frame, without resampling.

    Parameters
    ----------
    path : str or Path
        A NIfTI, NRRD or MetaImage file, a DICOM folder (searched with its sub-folders), or one DICOM file, which
        stands for its whole series in the same folder.
    series : str or int, optional
        DICOM only: the series to read, by instance UID, number or description, or one stack of slices, by the index
        that a message gives (``"stack2"``). Without it, the series that is most likely a sagittal spine MR is read,
        and a warning says which one.
    pixel_mm : float, optional
        For a picture without a place in the body (PNG, or another file with two dimensions): the edge of its pixels,
        mm. It is taken as a sagittal slice with the head at the top and the front on the left.
    files : sequence of Path, optional
        DICOM only: the files to look at, if they are known, instead of all the files of a folder.

    Returns
    -------
    SagittalVolume
        With the input's own grid as `source`.

    Raises
    ------
    ValueError
        If `path` does not exist, cannot be read as one 3-D volume of grey values that is fine enough for sagittal
        slices, or is a label map.
    """
    reading = read_image(Path(path), series, pixel_mm, files)
    image = reading.image
    size = image.GetSize()
    check_size(size, reading.where)
    grid = sagittal_grid(size, image.GetSpacing(), image.GetOrigin(), image.GetDirection(), reading.where)
    volume = _volume(sitk.GetArrayViewFromImage(image), grid, reading.where)
    if reading.is_label_map or is_label_map(volume.array):
        raise ValueError(f"{reading.where} is a label map, not a scan; give the scan that it was made from.")
    modality = [] if reading.is_dicom else about_hounsfield(volume.array)
    return replace(volume, name=reading.name, warnings=(*reading.warnings, *modality, *volume.warnings))


def volume_from_array(array: np.ndarray, matrix: np.ndarray, name: str = "volume") -> SagittalVolume:
    """Reorder an array with axes in any direction to the sagittal frame, without resampling.

    Parameters
    ----------
    array : ndarray, shape (a, b, c)
        Grey values of any integer, float or boolean type; not changed.
    matrix : ndarray, shape (4, 4)
        (a, b, c, 1) to LPS mm at voxel centres, in the order of the array's own axes.
    name : str
        Name of the scan in messages and files.

    Returns
    -------
    SagittalVolume
        Its `to_source` returns images whose array has the axes of `array`.

    Raises
    ------
    ValueError
        If array and matrix are not those of one 3-D volume of grey values that is fine enough for sagittal slices.
    """
    array = np.asarray(array)
    check_size(array.shape, name)
    array = array.reshape(array.shape[:3])
    return _volume(array, grid_of_matrix(array.shape, matrix, name), name)


def _volume(stored: np.ndarray, grid: SourceGrid, name: str) -> SagittalVolume:
    """Check an array as stored, shape (k, j, i), and return it as a volume in the sagittal frame."""
    about_slices = check_slices(grid, name)
    about_resolution = check_resolution(grid, name)
    array, about_values = clean_intensities(grid.to_sagittal(stored), name)
    warnings = (*about_slices, *about_resolution, *about_values, *about_empty_slices(array))
    return SagittalVolume(array, grid.matrix, name, grid, warnings)
