"""Names, colours and SNOMED CT codes of segments."""

from __future__ import annotations

from .levels import (
    CANAL_CODE,
    CANAL_VALUE,
    DISC_BASE,
    DISC_CODE,
    GENERIC_VERTEBRA_CODE,
    level_of_value,
    unanchored_value,
)

CONTEXT = "SpinalTap vertebrae"
"""Name of the terminology in ``Resources/Terminology``, which Slicer's segment editor offers."""

_CATEGORY = "SCT^123037004^Anatomical Structure"
_REGION = "Anatomic codes - DICOM master list~^^~^^"  # required by the seven-part form; none is needed
_CANAL_COLOUR = (235, 225, 190)
_DISC_COLOUR = (150, 200, 220)
_UNANCHORED_COLOURS = ((200, 200, 200), (140, 150, 160))  # greys in turn: no level is known


def colour(value: int) -> tuple[int, int, int]:
    """Return a label value's colour, 0-255; a level has the same one in every scan."""
    known = level_of_value(value)
    if known is not None:
        return known.colour
    if value == CANAL_VALUE:
        return _CANAL_COLOUR
    if value > DISC_BASE:
        return _DISC_COLOUR
    return _UNANCHORED_COLOURS[(value - unanchored_value(0)) % 2]


def terminology(value: int) -> str:
    """Return a label value's terminology entry, seven parts joined by ``~``, as Slicer stores it in a segment."""
    code, meaning = _code(value)
    return f"{CONTEXT}~{_CATEGORY}~SCT^{code}^{meaning}~^^~{_REGION}"


def _code(value: int) -> tuple[str, str]:
    known = level_of_value(value)
    if known is not None and known.code != GENERIC_VERTEBRA_CODE:
        return known.code, known.meaning
    if value == CANAL_VALUE:
        return CANAL_CODE, "Spinal canal"
    if value > DISC_BASE:
        return DISC_CODE, "Intervertebral disc"
    return GENERIC_VERTEBRA_CODE, "Vertebra"
