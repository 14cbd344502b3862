"""Check whether a volume is suitable for segmentation; refuse it with an error, or warn."""

from __future__ import annotations

import numpy as np

from .orientation import SourceGrid

PIXEL_RANGE_MM = (0.3, 1.6)
"""Pixel spacings (rows, columns), mm, that the detector was trained for."""
SLICE_RANGE_MM = (0.5, 8.0)
"""Slice distances, mm, that the detector was trained for."""
COARSEST_PIXEL_MM = 6.0
"""Largest accepted pixel spacing: above it, a vertebral body is at most three rows high, too few to find corners."""
COARSEST_SLICE_MM = 20.0
"""Largest accepted slice distance: above it, a vertebral body can lie between two slices."""
FINEST_MM = 0.02
"""Smallest accepted spacing: no clinical scanner is finer, so below it the header's unit must be wrong."""
LARGEST_TILT_DEGREES = 30.0
"""Tilt out of the sagittal plane above which a warning is given: such slices cut the vertebral bodies obliquely."""
LARGEST_VALUE = 1e18
"""Largest accepted magnitude, whose square still fits in float32; larger voxel values are treated as NaN."""
LOOKED_SLICES = 16
"""Approximate number of slices that are examined to recognise a label map."""
FEW_VALUES = 3
"""With so many distinct values or fewer, an array has a background, but no padding beside it."""
SAME_AS_NEIGHBOURS = 0.6
"""Fraction of foreground voxels that equal their next neighbours in the row and in the column, above which an array is
a label map. Bodies have 0.9, discs five pixels high 0.7, and as much if they were resampled linearly; 371 real scans
have 0.16 at most, but for one with 0.52; a scan enlarged four times without smoothing has 0.56."""
SAME_ALONG, SAME_ACROSS = 0.9, 0.5
"""Fractions of neighbouring foreground voxels that are equal along rows or columns, whichever is more, and along the
other, above which an array is a label map too: one of outlines, or with few rows. Real scans have 0.32, one 0.65."""
NEARLY = 0.001
"""Difference, as a fraction of the range of values, that is no more than the trace of a contour some voxels away in a
label map that was smoothed or resampled with a cubic kernel. Between neighbours in a scan, noise is larger."""
NEARLY_FLAT, NEARLY_SAME = 0.75, 0.12
"""Fractions of voxels that nearly have the background's value, and of those clearly apart from it that nearly equal
their neighbours, above which an array of fine values is a smoothed label map. Those of spines have 0.76 to 0.95, and
0.18 to 0.7 up to a standard deviation of one voxel. Of 371 real scans, one has both, nearly black and with 256 values;
none of 91 that were masked to less than a quarter, as they are, enlarged or smoothed, is taken for a label map.
"""
CLEARLY = 0.1
"""Difference from the background, as a fraction of the range of values, from which a voxel is no trace of a contour."""
AIR_HU = (-1100, -900)
"""Range of air in Hounsfield units."""
LOWEST_HU = -5000
"""Lowest value of a CT in Hounsfield units, including the padding values of scanners."""
LEAST_AIR, LEAST_BONE_HU = 0.02, 200
"""Least fraction of air, if a CT shows any, and least maximum (bone)."""
LUNG_HU = -500
"""Values below it are no tissue, but air or lung."""
TISSUES_HU = (((-150, -50), 0.03), ((0, 100), 0.15), ((-150, 150), 0.6))
"""Ranges of fat, muscle, and both, and the least fraction of each in the tissue of a CT. Fat below zero is what no MR
has."""
OFFSETS_HU = (1000, 1024)
"""What is added to Hounsfield units to store them without a sign; the intercept that takes it away again may be lost.
82 real MR scans, each at 25 brightnesses, never show both air and tissues with the first or the second."""
LOOKED_VALUES = 1_000_000
"""Approximate number of voxels that are examined to recognise a CT."""
MAX_VOXELS = 1_000_000_000
"""About 4 GB as float32; a header with more voxels is taken to be damaged."""


def check_size(size: tuple[int, ...], name: str) -> None:
    """Raise ValueError unless `size` (voxels along each axis, in any order) is that of a 3-D volume."""
    extents = " x ".join(str(extent) for extent in size)
    if len(size) > 3 and max(size[3:]) > 1:
        raise ValueError(f"{name} has {len(size)} dimensions ({extents}); give one 3-D volume, such as one time point.")
    if len(size) < 3 or sorted(size[:3])[1] == 1:
        raise ValueError(
            f"{name} holds a single slice ({extents} voxels) without a position in the body; give a stack of slices, "
            "or say with --pixel-mm that it is a sagittal slice, head up, front on the left, with pixels of that size."
        )
    if min(size[:3]) < 1:
        raise ValueError(f"{name} holds no voxels ({extents}); export the scan again.")
    if np.prod([float(extent) for extent in size]) > MAX_VOXELS:
        raise ValueError(
            f"{name} claims {extents} voxels, too many for a spine scan; its header may be damaged, so copy or export "
            "the scan again."
        )


def check_slices(grid: SourceGrid, name: str) -> list[str]:
    """Return a warning if there is a single sagittal slice; raise ValueError if there is one of another plane."""
    if min(grid.size) > 1:
        return []
    if grid.shape[0] > 1:
        plane = "axial" if grid.shape[1] == 1 else "coronal"
        raise ValueError(f"{name} holds a single {plane} slice; give a stack of slices, or a sagittal slice.")
    return [
        "This is a single sagittal slice: names, outlines and heights are useful where it passes through the middle of "
        "the spine; volumes are meaningless, and no surfaces are written."
    ]


def check_resolution(grid: SourceGrid, name: str) -> list[str]:
    """Check the distances between slices, rows and columns, and the tilt of the slices.

    Returns
    -------
    list of str
        One warning for each property that is outside the supported range but acceptable.

    Raises
    ------
    ValueError
        If the volume is too coarse to be read in sagittal slices, or its spacing is impossibly small.
    """
    slice_mm, row_mm, column_mm = (grid.spacing[axis] for axis in grid.axes)
    if min(grid.spacing) < FINEST_MM:
        raise ValueError(
            f"{name} has voxels {min(grid.spacing):.3g} mm apart, which no scanner resolves; check the unit of length "
            "in its header."
        )
    for stack, where, spacing in (("an axial", "head to foot", row_mm), ("a coronal", "front to back", column_mm)):
        if spacing > COARSEST_PIXEL_MM:
            raise ValueError(
                f"{name} is {stack} stack with {spacing:.3g} mm between slices from {where}, too coarse to be read "
                f"in sagittal slices (at most {COARSEST_PIXEL_MM:g} mm); use a sagittal series."
            )
    if slice_mm > COARSEST_SLICE_MM:
        raise ValueError(
            f"{name} has {slice_mm:.3g} mm between its sagittal slices, so far apart that a vertebra can lie between "
            f"two of them (at most {COARSEST_SLICE_MM:g} mm); use a series with thinner slices."
        )
    return _range_warnings(slice_mm, row_mm, column_mm) + _tilt_warnings(grid)


def _range_warnings(slice_mm: float, row_mm: float, column_mm: float) -> list[str]:
    warnings = []
    if not all(PIXEL_RANGE_MM[0] * 0.99 <= pixel <= PIXEL_RANGE_MM[1] * 1.01 for pixel in (row_mm, column_mm)):
        warnings.append(
            f"The sagittal pixels measure {row_mm:.3g} x {column_mm:.3g} mm, outside the {PIXEL_RANGE_MM[0]:g} to "
            f"{PIXEL_RANGE_MM[1]:g} mm that SpinalTap was made for; check the result carefully."
        )
    if not SLICE_RANGE_MM[0] * 0.99 <= slice_mm <= SLICE_RANGE_MM[1] * 1.01:
        warnings.append(
            f"The sagittal slices are {slice_mm:.3g} mm apart, outside the {SLICE_RANGE_MM[0]:g} to "
            f"{SLICE_RANGE_MM[1]:g} mm that SpinalTap was made for; check the result carefully."
        )
    return warnings


def _tilt_warnings(grid: SourceGrid) -> list[str]:
    cosine = abs(float(np.reshape(grid.direction, (3, 3))[0, grid.axes[0]]))
    tilt = float(np.degrees(np.arccos(min(cosine, 1.0))))
    if tilt <= LARGEST_TILT_DEGREES:
        return []
    return [
        f"The slices closest to sagittal are tilted {tilt:.0f} degrees out of the sagittal plane; check the result "
        "carefully."
    ]


def clean_intensities(array: np.ndarray, name: str) -> tuple[np.ndarray, list[str]]:
    """Convert voxel values to contiguous finite float32; voxels without a usable number become background.

    Parameters
    ----------
    array : ndarray, shape (slice, row, column)
        Any integer, float or boolean type; not changed.
    name : str
        Name of the volume in error messages.

    Returns
    -------
    array : ndarray, float32, same shape
        A copy; voxels that were NaN, infinite or beyond `LARGEST_VALUE` hold the lowest finite value.
    warnings : list of str
        One warning if there were such voxels.

    Raises
    ------
    ValueError
        If the type is not real numbers, more than half of the voxels are NaN or infinite, or all voxels are equal.
    """
    if array.dtype.kind not in "biuf":
        raise ValueError(
            f"{name} holds values of type {array.dtype}, not grey values; convert it to real numbers first."
        )
    with np.errstate(over="ignore"):
        clean = np.array(array, dtype=np.float32, order="C")
    warnings = []
    if array.dtype.kind == "f":
        # NaN fails the comparison too.
        bad = ~(np.abs(clean) <= LARGEST_VALUE)
        count = int(bad.sum())
        if 2 * count > bad.size:
            raise ValueError(
                f"{name} has no usable number in {count / bad.size:.0%} of its voxels (NaN or infinite); export the "
                "scan again."
            )
        if count:
            clean[bad] = clean[~bad].min()
            warnings.append(f"{count} voxels were NaN or infinite and were taken as background.")
    if clean.min() == clean.max():
        raise ValueError(
            f"{name} is constant: every voxel has the value {clean.flat[0]:g}; check that it is the right scan."
        )
    return clean, warnings


def about_empty_slices(array: np.ndarray) -> list[str]:
    """Return a warning if slices of an array, shape (slice, row, column), are empty between others that are not."""
    shown = [i for i, plane in enumerate(array) if plane.min() < plane.max()]
    missing = shown[-1] - shown[0] + 1 - len(shown) if shown else 0
    if not missing:
        return []
    return [
        f"{missing} of {len(array)} sagittal slices are empty (all their voxels are equal), between others that are "
        "not: vertebrae may be missed there, and widths and volumes may be wrong; export the scan again."
    ]


def is_label_map(array: np.ndarray) -> bool:
    """Return whether an array, shape (slice, row, column), is a label map rather than a scan, judging by its values.

    In the foreground, nearly all voxels of a label map equal their neighbours, or have none; in a scan, noise makes
    nearly all of them differ. No foreground is what fills most of the image or is padding: zero, or the lowest value.
    Labels cannot be told from a scan if they have few rows, are mere outlines of structures that touch, or were
    smoothed so widely that they leave little background.
    """
    planes = [plane for plane in array if plane.min() < plane.max()] or list(array)
    looked = np.array(planes[:: max(1, len(planes) // LOOKED_SLICES)])
    return _has_equal_neighbours(looked) or _is_smoothed(looked)


def _has_equal_neighbours(looked: np.ndarray) -> bool:
    values, counts = np.unique(looked, return_counts=True)
    padding = (values[0], 0) if len(values) > FEW_VALUES else ()
    inside = ~np.isin(looked, (values[counts.argmax()], *padding))
    down, across = looked[:, 1:] == looked[:, :-1], looked[:, :, 1:] == looked[:, :, :-1]
    same = _share(down[:, :, :-1] & across[:, :-1], inside[:, :-1, :-1])
    along_columns = _share(down, inside[:, 1:] & inside[:, :-1])
    along_rows = _share(across, inside[:, :, 1:] & inside[:, :, :-1])
    less, more = sorted((along_columns, along_rows))
    return same > SAME_AS_NEIGHBOURS or (more > SAME_ALONG and less > SAME_ACROSS)


def _is_smoothed(looked: np.ndarray) -> bool:
    """Return whether smooth structures lie on a flat background, as in a smoothed label map."""
    values, counts = np.unique(looked, return_counts=True)
    apart = np.abs(looked - values[counts.argmax()])
    scale = float(np.quantile(apart[apart > 0], 0.99)) if apart.any() else 1.0  # a few voxels may be far brighter
    down, across = np.abs(np.diff(looked, axis=1))[:, :, :-1], np.abs(np.diff(looked, axis=2))[:, :-1]
    step = np.maximum(down, across)[apart[:, :-1, :-1] > CLEARLY * scale]
    same = step <= NEARLY * scale
    flat = np.mean(apart <= NEARLY * scale)
    return bool(flat > NEARLY_FLAT and step[same].any() and same.mean() > NEARLY_SAME)


def _share(what: np.ndarray, where: np.ndarray) -> float:
    """Return the fraction of True in a mask `what` where another mask is True; 1 if it nowhere is."""
    return float(what[where].mean()) if where.any() else 1.0


def about_hounsfield(array: np.ndarray) -> list[str]:
    """Return a warning if the values, of any shape, look like those of a CT: Hounsfield units."""
    values = array.ravel()[:: max(1, array.size // LOOKED_VALUES)]
    readings = [read for read in (values, *(values - offset for offset in OFFSETS_HU)) if read.max() >= LEAST_BONE_HU]
    signs = [(_has_air(read), _has_tissues(read)) for read in readings]
    # An MR can show one of the two by chance if its values may be read with any offset.
    if not signs or not (any(signs[0]) or any(map(all, signs))):
        return []
    return ["The values look like those of a CT (Hounsfield units), not of an MR, which SpinalTap was made for."]


def _has_air(values: np.ndarray) -> bool:
    return bool(values.min() >= LOWEST_HU) and _fraction(values, AIR_HU) >= LEAST_AIR


def _has_tissues(values: np.ndarray) -> bool:
    """Return whether values are whole numbers as in a CT that is clipped or cropped to the body, so without air."""
    tissue = values[(values > LUNG_HU) & (values > values.min())]  # air may be clipped to the lowest value
    enough = all(_fraction(tissue, bounds) >= least for bounds, least in TISSUES_HU)
    return enough and bool((values == np.round(values)).all())


def _fraction(values: np.ndarray, bounds: tuple[float, float]) -> float:
    return float(np.count_nonzero((values >= bounds[0]) & (values <= bounds[1])) / max(values.size, 1))
