"""Read the images of a BIDS data set, and write label maps as a BIDS derivative (https://bids.neuroimaging.io)."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from .. import __version__
from ..files.atomic import write_whole
from ..files.result_names import LABEL_MAP_NAME
from ..spine.segments import segments_in

BIDS_VERSION = "1.10.0"
SUFFIXES = ("T1w", "T2w")
"""Suffixes of the images that are segmented unless others are named."""
RESULTS_FOLDER = "results"
"""Folder of the result folders in a derivative; ``.bidsignore`` lists it."""

_DESCRIPTION = "dataset_description.json"
_IGNORE = (RESULTS_FOLDER, "*.csv", "logs")
_KEPT = ("sub", "ses", "task", "acq", "ce", "rec", "run", "echo", "part", "chunk")
"""Entities that a derived segmentation may keep; others go into its ``desc``."""
_IMAGE = re.compile(r"(sub-[A-Za-z0-9]+(?:_[a-z]+-[A-Za-z0-9]+)*)_([A-Za-z0-9]+)\.nii(?:\.gz)?")
_ENDINGS = (".nii.gz", ".json", ".tsv")
_LINK = "raw"
_ADDRESS = "https://github.com/SlicerSpinalTap/SlicerSpinalTap"


def is_bids(folder: Path) -> bool:
    """Return whether a folder is a BIDS data set of images, not a derivative."""
    content = _description(folder)
    return "BIDSVersion" in content and content.get("DatasetType", "raw") == "raw"


def _description(folder: Path) -> dict[str, Any]:
    try:
        content = json.loads((folder / _DESCRIPTION).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def bids_images(folder: Path, suffixes: Sequence[str] = ()) -> tuple[list[tuple[Path, str]], dict[str, int]]:
    """Return the anatomical images of a data set.

    Parameters
    ----------
    folder : Path
        The data set.
    suffixes : sequence of str
        Suffixes of the images; `SUFFIXES` if empty.

    Returns
    -------
    images : list of (Path, str)
        Path of each image and relative name of its result folder.
    left_out : dict of str to int
        How many anatomical images have which other suffix.

    Raises
    ------
    ValueError
        If there is no such image.
    """
    wanted = tuple(suffixes) or SUFFIXES
    images: list[tuple[Path, str]] = []
    left_out: Counter[str] = Counter()
    for anat in sorted([*folder.glob("sub-*/anat"), *folder.glob("sub-*/ses-*/anat")]):
        for path in sorted(anat.glob("*.nii*")):
            named = _IMAGE.fullmatch(path.name)
            if named is None:
                left_out["not a BIDS name"] += 1
            elif named[2] in wanted:
                place = Path(RESULTS_FOLDER, path.parent.relative_to(folder), f"{named[1]}_{named[2]}")
                images.append((path, str(place)))
            else:
                left_out[named[2]] += 1
    if not images:
        other = f"; it has {', '.join(sorted(left_out))}" if left_out else ""
        raise ValueError(
            f"The BIDS data set {folder} has no image with the suffix {' or '.join(wanted)}{other}; name others with "
            "--suffix."
        )
    return images, dict(left_out)


def begin_derivative(output: Path, source: Path) -> None:
    """Write the description of a derivative into the folder `output`, which may hold an earlier one of SpinalTap.

    Raises
    ------
    ValueError
        If the folder is another data set, or cannot be written.
    """
    if (output / _DESCRIPTION).exists() and not is_derivative(output):
        raise ValueError(
            f"{output} holds another BIDS data set, whose description would be replaced; choose another output "
            f"folder, such as {source / 'derivatives' / 'spinaltap'}."
        )
    output.mkdir(parents=True, exist_ok=True)
    content = {
        "Name": "Vertebrae segmented by SpinalTap",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "SpinalTap", "Version": __version__, "CodeURL": _ADDRESS}],
        "SourceDatasets": [{"URL": source.as_uri()}],
        "DatasetLinks": {_LINK: source.as_uri()},
    }
    write_whole(output / _DESCRIPTION, _json(content))
    write_whole(output / ".bidsignore", "".join(f"{line}\n" for line in _IGNORE).encode())


def is_derivative(output: Path) -> bool:
    """Return whether a folder is a derivative that SpinalTap made."""
    made_by = _description(output).get("GeneratedBy")
    return isinstance(made_by, list) and any(isinstance(m, dict) and m.get("Name") == "SpinalTap" for m in made_by)


def derived_name(result_name: str) -> str:
    """Return the relative name of the derived label map, without ``.nii.gz``, of a result folder.

    >>> derived_name("results/sub-1/ses-2/anat/sub-1_ses-2_acq-sag_inv-1_T2w")
    'sub-1/ses-2/anat/sub-1_ses-2_acq-sag_desc-T2wInv1_dseg'
    """
    place = Path(result_name).relative_to(RESULTS_FOLDER)
    *entities, suffix = place.name.split("_")
    kept = [entity for entity in entities if entity.split("-")[0] in _KEPT]
    others = [entity.split("-") for entity in entities if entity not in kept]
    suffix += "".join(key.capitalize() + value for key, value in others)
    return str(place.with_name("_".join([*kept, f"desc-{suffix}", "dseg"])))


def export(output: Path, result_folder: Path, scan: str) -> None:
    """Write label map, sidecar and label table of a result folder to the derivative that it lies in.

    Parameters
    ----------
    output : Path
        The derivative.
    result_folder : Path
        A result folder in it.
    scan : str
        Path of the image in its data set.
    """
    target = output / derived_name(str(result_folder.relative_to(output)))
    source = f"bids:{_LINK}:{Path(*target.relative_to(output).parts[:-1], Path(scan).name).as_posix()}"
    image, sidecar, table = (target.with_name(target.name + ending) for ending in _ENDINGS)
    if _is_same(image, result_folder / LABEL_MAP_NAME):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(result_folder / LABEL_MAP_NAME)))
    about = {
        "Description": "Vertebrae found and named by SpinalTap; the table beside it lists the label values.",
        "Manual": False,
        "Sources": [source],
        "SpatialReference": source,
    }
    write_whole(table, label_table(labels))
    write_whole(sidecar, _json(about))
    _copy(result_folder / LABEL_MAP_NAME, image)  # last: as long as it is missing, the export is repeated


def label_table(labels: np.ndarray) -> bytes:
    """Return the label table of a label map, any shape: index, name and colour of each value."""
    rows = ["index\tname\tcolor"]
    for segment in segments_in(labels):
        red, green, blue = segment.colour
        rows.append(f"{segment.value}\t{segment.name}\t#{red:02x}{green:02x}{blue:02x}")
    return ("\n".join(rows) + "\n").encode()


def withdraw(output: Path, result_folder: Path) -> None:
    """Remove the derived files of a scan that has no result any more."""
    target = output / derived_name(str(result_folder.relative_to(output)))
    for ending in _ENDINGS:
        target.with_name(target.name + ending).unlink(missing_ok=True)


def _is_same(one: Path, other: Path) -> bool:
    try:
        first, second = one.stat(), other.stat()
    except OSError:
        return False
    return (first.st_size, first.st_mtime_ns) == (second.st_size, second.st_mtime_ns)


def _copy(source: Path, target: Path) -> None:
    """Copy a file with its time, by which `_is_same` knows it."""
    write_whole(target, source.read_bytes())
    stat = source.stat()
    os.utime(target, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def _json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()
