"""Series choice: of all that a DICOM folder holds, the one that looks most like a sagittal spine MR."""

from __future__ import annotations

import re

import numpy as np

from .dicom_headers import whole_number
from .dicom_stacks import DicomStack

SAGITTAL_COSINE = 0.7
"""Slices whose normal is within 45 degrees of left-right are sagittal."""
ENOUGH_SLICES = 12
"""So many sagittal slices cover the vertebral bodies: beyond it, a longer view of the spine counts for more."""

_PLANNING_WORDS = ("LOC", "SCOUT", "SURVEY", "PLAN", "3PL", "SMARTBRAIN")
"""Beginnings of words in a description or image type that tell a localizer."""
_DERIVED_WORDS = {"ADC", "FA", "TRACE", "TRACEW", "SUB", "SUBTRACTION", "MIP", "PROJECTION", "PHASE", "MAP", "REPORT"}
"""Words in a description or image type that tell a picture computed from others."""
_LISTED = 12


def choose_series(stacks: list[DicomStack], series: str | int | None, where: str) -> tuple[DicomStack, list[str]]:
    """Choose one stack of images.

    Parameters
    ----------
    stacks : list of DicomStack
        All that were found.
    series : str or int, optional
        Instance UID, number or description (whole, or else a part) that it must have.
    where : str
        What to call the folder in error messages.

    Returns
    -------
    stack : DicomStack
        The one that fits best.
    warnings : list of str
        Which one it was, if there were several; and what is odd about it.

    Raises
    ------
    ValueError
        If there is none, or none that `series` names.
    """
    if not stacks:
        raise ValueError(f"{where} holds no DICOM image; give a folder of DICOM files, or an image file itself.")
    wanted = stacks if series is None else _named(stacks, str(series).strip())
    if not wanted:
        raise ValueError(f"{where} holds no series '{series}'; it holds {_list(stacks)}.")
    best = max(wanted, key=_score)
    warnings = []
    if len(stacks) > 1:
        others = _list([stack for stack in stacks if stack is not best])
        warnings.append(
            f"{len(stacks)} series or stacks of slices were found, and {_describe(best)} was read; to read another, "
            f"give its number, description or UID: {others}."
        )
    modality = best.first.tags["modality"]
    if modality != "MR":
        warnings.append(f"The images are of modality {modality or 'unknown'}, not MR, which SpinalTap was made for.")
    return best, warnings


def _named(stacks: list[DicomStack], wanted: str) -> list[DicomStack]:
    """Return the stacks that a user's word means, by the first rule that fits any."""
    number = whole_number(wanted) if wanted.isdecimal() else None
    rules = (
        lambda tags: tags["uid"] == wanted,
        lambda tags: number is not None and tags["number"] != "" and whole_number(tags["number"]) == number,
        lambda tags: tags["description"].casefold() == wanted.casefold(),
        lambda tags: wanted != "" and wanted.casefold() in tags["description"].casefold(),
    )
    for rule in rules:
        found = [stack for stack in stacks if rule(stack.first.tags)]
        if found:
            return found
    return []


def _score(stack: DicomStack) -> tuple:
    """What makes a stack fit, the weightiest first."""
    words = _words(stack)
    return (
        stack.slices > 1 and stack.first.components == 1,
        stack.first.tags["modality"] == "MR",
        not any(word.startswith(_PLANNING_WORDS) for word in words),
        not _DERIVED_WORDS & words,
        _is_sagittal(stack),
        min(stack.slices, ENOUGH_SLICES),
        round(_height_mm(stack) / 10),
        stack.slices,
        -whole_number(stack.first.tags["number"]),
    )


def _words(stack: DicomStack) -> set[str]:
    text = f"{stack.first.tags['description']} {stack.first.tags['image_type']}"
    return set(re.findall(r"[A-Z0-9]+", text.upper()))


def _is_sagittal(stack: DicomStack) -> bool:
    return abs(float(stack.first.direction[0, 2])) > SAGITTAL_COSINE


def _height_mm(stack: DicomStack) -> float:
    """Return how far the images reach from head to foot, mm."""
    reach = np.abs(stack.first.direction[2, :2]) * stack.first.spacing[:2] * stack.first.size[:2]
    return float(reach.max())


def _plane(stack: DicomStack) -> str:
    axis = int(np.argmax(np.abs(stack.first.direction[:, 2])))
    return ("sagittal", "coronal", "axial")[axis]


def _describe(stack: DicomStack) -> str:
    modality = stack.first.tags["modality"] or "modality unknown"
    return f"{stack.title} ({modality}, {stack.slices} {_plane(stack)} slice{'s' if stack.slices != 1 else ''})"


def _list(stacks: list[DicomStack]) -> str:
    named = list(dict.fromkeys(_describe(stack) for stack in stacks))
    more = [f"and {len(named) - _LISTED} more"] if len(named) > _LISTED else []
    return ", ".join(named[:_LISTED] + more)
