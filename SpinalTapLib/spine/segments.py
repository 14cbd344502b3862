"""Name, colour and codes of a label value, as written to Slicer, DICOM and mesh files."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from . import levels

TERMINOLOGY = "SpinalTap vertebrae"
"""Name of the terminology in Resources/Terminology."""
ANATOMY_TERMINOLOGY = "Anatomic codes - DICOM master list"
CATEGORY = ("SCT", "123037004", "Anatomical Structure")

GENERIC_COLOUR = (170, 170, 170)
DISC_COLOUR = (150, 200, 220)
SACRUM_COLOUR = (200, 170, 130)
CANAL_COLOUR = (235, 225, 190)


@dataclass(frozen=True)
class Segment:
    """The structure that a label value stands for.

    Attributes
    ----------
    value : int
        Label value.
    name : str
        ``"L5"``, ``"Arch of L5"``, ``"L4-L5"``, ``"Dural sac"``, ``"Vertebra 3"``.
    colour : tuple of int
        Red, green, blue, 0-255.
    code, meaning : str
        SNOMED CT code and its meaning.
    """

    value: int
    name: str
    colour: tuple[int, int, int]
    code: str
    meaning: str

    @property
    def identifier(self) -> str:
        """The name with every character but letters, digits and ``-`` replaced by ``_``."""
        return "".join(c if c.isalnum() or c == "-" else "_" for c in self.name)

    @property
    def terminology_entry(self) -> str:
        """The seven parts of Slicer's ``TerminologyEntry`` tag: contexts, category, type, region and modifiers."""
        kind = "^".join(("SCT", self.code, self.meaning))
        return "~".join((TERMINOLOGY, "^".join(CATEGORY), kind, "^^", ANATOMY_TERMINOLOGY, "^^", "^^"))


_LAST = (levels.SACRUM_VALUE, levels.CANAL_VALUE)


def segments_in(label_map: np.ndarray) -> tuple[Segment, ...]:
    """Return a segment for every value above 0 in a label map.

    In this order: bodies from the bottom up, arches, discs, sacrum, canal.
    """
    counts = np.bincount(np.asarray(label_map).ravel()) if np.size(label_map) else np.zeros(1, int)
    values = [int(v) for v in np.flatnonzero(counts) if v]
    return tuple(segment_of(value, values) for value in sorted(values, key=_order))


def segment_of(value: int, present: Collection[int] = ()) -> Segment:
    """Return the segment of a label value.

    Parameters
    ----------
    value : int
        A value of the table in `levels`.
    present : collection of int
        All values of the label map: a disc is named after the vertebra above it and the next lower one present.
    """
    known = levels.level_of_value(value)
    if known is not None:
        meaning = "Vertebra" if known.code == levels.GENERIC_VERTEBRA_CODE else known.meaning
        return Segment(value, known.name, known.colour, known.code, meaning)
    if value == levels.CANAL_VALUE:
        return Segment(value, levels.label_name(value), CANAL_COLOUR, levels.CANAL_CODE, "Spinal canal")
    if value == levels.SACRUM_VALUE:
        return Segment(value, levels.label_name(value), SACRUM_COLOUR, levels.SACRUM_CODE, "Sacrum")
    if levels.is_arch(value):
        colour = segment_of(levels.owner_value(value)).colour
        return Segment(value, levels.label_name(value), colour, levels.ARCH_CODE, "Arch of vertebra")
    if levels.is_disc(value):
        return Segment(value, _disc_name(value, present), DISC_COLOUR, levels.DISC_CODE, "Intervertebral disc")
    # Vertebrae without a level take the levels' colours from the bottom up, so that neighbours differ.
    colour = levels.LEVELS[(value - levels.UNANCHORED_BASE) % len(levels.LEVELS)].colour
    return Segment(value, levels.label_name(value), colour, levels.GENERIC_VERTEBRA_CODE, "Vertebra")


def _disc_name(value: int, present: Collection[int]) -> str:
    """Return the name of a disc by its two neighbours, or by the lower one if the upper one is not known."""
    above = levels.owner_value(value)
    lower = [v for v in present if _order(v) < _order(above) and _order(v)[0] == 0]
    if not lower:
        return levels.label_name(value)
    below = levels.label_name(max(lower, key=_order))
    if above > levels.UNANCHORED_BASE and above not in present:
        return f"Disc above {below}"
    return f"{levels.label_name(above)}-{below}"


def _order(value: int) -> tuple[int, int]:
    """Return a sort key: bodies from the bottom up, then arches and discs in the same order, sacrum, canal."""
    if value in _LAST:
        return 3, _LAST.index(value)
    if levels.is_arch(value) or levels.is_disc(value):
        return 1 if levels.is_arch(value) else 2, _order(levels.owner_value(value))[1]
    for position, level in enumerate(levels.LEVELS):
        if level.value == value:
            return 0, position
    return 0, value
