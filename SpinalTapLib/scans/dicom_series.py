"""Choose the series of a DICOM folder that is most likely a sagittal spine MR."""

from __future__ import annotations

import re

import numpy as np

from .dicom_headers import whole_number
from .dicom_stacks import DicomStack

SAGITTAL_COSINE = 0.7
"""Least cosine between the normal of sagittal slices and the left-right axis (within 45 degrees)."""
ENOUGH_SLICES = 12
"""Number of sagittal slices that cover the vertebral bodies; above it, the height of the field of view decides."""

_PLANNING_WORDS = ("LOC", "SCOUT", "SURVEY", "PLAN", "3PL", "SMARTBRAIN")
"""Word beginnings in the description or image type of a localizer."""
_OTHER_PARTS = {"P": "phase", "PHASE": "phase", "R": "real", "REAL": "real", "I": "imaginary", "IMAGINARY": "imaginary"}
"""Words in the image type of a part of the complex signal other than its magnitude."""
_DERIVED_WORDS = {"ADC", "FA", "TRACE", "TRACEW", "SUB", "SUBTRACTION", "MIP", "PROJECTION", "PHASE", "MAP", "REPORT"}
"""Words in the description or image type of an image computed from others."""
_INDEX = "stack"
"""Prefix of the index of a stack; a number without it is that of a series."""
_LISTED = 12
"""Most stacks that a message lists."""


def choose_series(stacks: list[DicomStack], series: str | int | None, where: str) -> tuple[DicomStack, list[str]]:
    """Choose one stack of images.

    Parameters
    ----------
    stacks : list of DicomStack
        All stacks that were found.
    series : str or int, optional
        Index of the stack as in the messages (``"stack2"``), or instance UID, number or description of its series; a
        part of the description will do if no series has it as a whole.
    where : str
        Name of the folder in error messages.

    Returns
    -------
    stack : DicomStack
        The best match.
    warnings : list of str
        Which stack was taken if there were several, and a warning if it is not MR.

    Raises
    ------
    ValueError
        If there is no stack, or `series` does not match any.
    """
    if not stacks:
        raise ValueError(f"{where} holds no DICOM image; give a folder of DICOM files, or an image file itself.")
    wanted = stacks if series is None else _named(stacks, str(series).strip())
    if not wanted:
        raise ValueError(f"{where} holds no series '{series}'; it holds {_list(stacks, stacks)}.")
    best = max(wanted, key=_score)
    warnings = []
    if len(stacks) > 1:
        others = _list([stack for stack in stacks if stack is not best], stacks)
        warnings.append(
            f"{len(stacks)} series or stacks of slices were found, and {_describe(best, stacks)} was read; to read "
            f"another, give its index, or its series' number, description or UID: {others}."
        )
    modality = best.first.modality
    if modality != "MR":
        warnings.append(f"The images are of modality {modality or 'unknown'}, not MR, which SpinalTap was made for.")
    if is_computed(best):
        warnings.append(
            "The description or the type of the images says that they were computed from others, or show the phase; "
            "SpinalTap was made for images as they are acquired, so use the original series if there is one."
        )
    return best, warnings


def why_left_out(stack: DicomStack) -> str:
    """Return why a stack is not segmented where all the sagittal series of a study are; empty if it is segmented.

    >>> why_left_out(axial_stack)   # doctest: +SKIP
    'axial'
    """
    if stack.first.modality != "MR":
        return f"modality {stack.first.modality or 'unknown'}"
    if not stack.is_volume:
        return "not a volume"
    if is_localiser(stack):
        return "planning"
    if is_computed(stack):
        return "computed or phase"
    return "" if is_sagittal(stack) else plane_name(stack)


def _named(stacks: list[DicomStack], wanted: str) -> list[DicomStack]:
    """Return the stacks that match the user's choice, by the first rule that matches any."""
    index = re.fullmatch(rf"{_INDEX}\s*(\d+)", wanted, re.IGNORECASE)
    if index and 1 <= int(index[1]) <= len(stacks):
        return [stacks[int(index[1]) - 1]]
    number = whole_number(wanted) if wanted.isdecimal() else None
    rules = (
        lambda first: first.uid == wanted,
        lambda first: number is not None and first.number != "" and whole_number(first.number) == number,
        lambda first: first.description.casefold() == wanted.casefold(),
        lambda first: wanted != "" and wanted.casefold() in first.description.casefold(),
    )
    for rule in rules:
        found = [stack for stack in stacks if rule(stack.first)]
        if found:
            return found
    return []


def _score(stack: DicomStack) -> tuple:
    """Return the sort key of a stack, the most important criterion first; the largest is the best."""
    words = _words(stack)
    return (
        stack.is_volume,
        stack.first.modality == "MR",
        not is_localiser(stack),
        not is_computed(stack),
        is_sagittal(stack),
        min(stack.slices, ENOUGH_SLICES),
        round(stack.height_mm / 10),
        "DERIVED" not in words,
        stack.slices,
        -whole_number(stack.first.number),
        -stack.first.echo_ms,
    )


def _words(stack: DicomStack) -> set[str]:
    text = f"{stack.first.description} {stack.first.image_type}"
    return set(re.findall(r"[A-Z0-9]+", text.upper()))


def is_localiser(stack: DicomStack) -> bool:
    """Return whether a stack only serves to plan the others, judging by its description and image type."""
    return any(word.startswith(_PLANNING_WORDS) for word in _words(stack))


def is_computed(stack: DicomStack) -> bool:
    """Return whether a stack was computed from others or shows no magnitude, judging by description and image type."""
    return bool(_DERIVED_WORDS & _words(stack) or _parts(stack))


def is_sagittal(stack: DicomStack) -> bool:
    """Return whether the slices of a stack are sagittal, within 45 degrees."""
    return abs(float(stack.first.direction[0, 2])) > SAGITTAL_COSINE


def plane_name(stack: DicomStack) -> str:
    """Return ``"sagittal"``, ``"coronal"`` or ``"axial"``, whichever the slices are nearest to."""
    axis = int(np.argmax(np.abs(stack.first.direction[:, 2])))
    return ("sagittal", "coronal", "axial")[axis]


def _parts(stack: DicomStack) -> set[str]:
    """Return the parts of the complex signal that a stack shows, such as ``{"phase"}``; empty for the magnitude."""
    return {_OTHER_PARTS[word] for word in stack.first.image_type.upper().split("\\") if word in _OTHER_PARTS}


def _describe(stack: DicomStack, stacks: list[DicomStack]) -> str:
    """Describe a stack in words, including what distinguishes it from the others of its series."""
    siblings = [other for other in stacks if other.first.series == stack.first.series]
    patients = list(dict.fromkeys(other.first.patient for other in stacks))  # never shown: messages are stored
    told = [
        *([f"patient {patients.index(stack.first.patient) + 1} of {len(patients)}"] if len(patients) > 1 else []),
        stack.first.modality or "modality unknown",
        f"{stack.slices} {plane_name(stack)} slice{'s' if stack.slices != 1 else ''}",
        *sorted(_parts(stack)),
        *_told_apart([f"echo {other.first.echo_ms:g} ms" for other in siblings], siblings.index(stack)),
        *_told_apart([_reach(other) for other in siblings], siblings.index(stack)),
    ]
    same = [other for other in siblings if _kind(other) == _kind(stack)]
    if len(same) > 1:
        told.append(f"repetition {same.index(stack) + 1}")
    return f"{stack.title} ({', '.join(told)})"


def _told_apart(texts: list[str], own: int) -> list[str]:
    """Return the text at index `own`, in a list; an empty list if all texts are equal."""
    return [texts[own]] if len(set(texts)) > 1 else []


def _reach(stack: DicomStack) -> str:
    low, high = stack.reach_mm
    return f"S {low:.0f} to {high:.0f} mm"


def _kind(stack: DicomStack) -> tuple:
    return stack.slices, plane_name(stack), stack.first.image_type, stack.first.echo_ms, _reach(stack)


def _list(listed: list[DicomStack], stacks: list[DicomStack]) -> str:
    """Describe a list of stacks in words, each with its index among all stacks."""
    named = [f"{_INDEX}{stacks.index(stack) + 1}: {_describe(stack, stacks)}" for stack in listed]
    more = [f"and {len(named) - _LISTED} more"] if len(named) > _LISTED else []
    return ", ".join(named[:_LISTED] + more)
