"""The table of vertebral levels: order, label value, colour and SNOMED CT code.

Label values follow the VerSe convention (Sekuboyina et al., Med Image Anal 73, 2021). SNOMED CT
codes are those of the anatomical structures; levels without a code of their own carry the code
of the generic vertebra.
"""

from __future__ import annotations

from dataclasses import dataclass

GENERIC_VERTEBRA_CODE = "51282000"
DISC_CODE = "360499006"
ARCH_CODE = "40265002"
SACRUM_CODE = "54735007"
CANAL_CODE = "61853006"
"""Spinal canal: the nearest code of SNOMED CT that is at hand for what is segmented in it, the dural sac."""

CANAL_VALUE = 60
UNANCHORED_BASE = 100
DISC_BASE = 200
ARCH_BASE = 300
UNANCHORED_DISC_BASE = 500
"""Base of the discs below vertebrae without a level: with `DISC_BASE`, they would have the values of named arches."""
SACRUM_VALUE = 29
"""The sacrum without the body of S1."""


@dataclass(frozen=True)
class Level:
    """One vertebral level.

    Attributes
    ----------
    name : str
        Short name, such as ``"L5"``.
    value : int
        Label value in label maps (VerSe convention).
    code : str
        SNOMED CT code of the structure.
    colour : tuple of int
        Red, green, blue, 0-255. Neighbouring levels are far apart in hue and lightness.
    """

    name: str
    value: int
    code: str
    colour: tuple[int, int, int]

    @property
    def meaning(self) -> str:
        """The name as text, such as ``"L5 vertebra"``."""
        return f"{self.name} vertebra"


# Seven colours that colour-blind readers can tell apart (Okabe and Ito, 2008), assigned in a fixed order: sacral and
# lumbar levels unchanged, thoracic ones lighter, cervical ones darker, so that no two regions share a colour.
# A level has the same colour in every scan.
_PALETTE = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)

_LIGHTER, _DARKER = 0.5, 0.6

_ROWS = (  # from the bottom up
    ("S1", 26, "65985001"),
    ("L6", 25, GENERIC_VERTEBRA_CODE),
    ("L5", 24, "49668003"),
    ("L4", 23, "11994002"),
    ("L3", 22, "36470004"),
    ("L2", 21, "14293000"),
    ("L1", 20, "66794005"),
    ("T13", 28, GENERIC_VERTEBRA_CODE),
    ("T12", 19, "23215003"),
    ("T11", 18, "12989004"),
    ("T10", 17, "7610001"),
    ("T9", 16, "82687006"),
    ("T8", 15, "11068009"),
    ("T7", 14, "62487009"),
    ("T6", 13, "45296009"),
    ("T5", 12, "56401006"),
    ("T4", 11, "73071006"),
    ("T3", 10, "1626008"),
    ("T2", 9, "53733008"),
    ("T1", 8, "64864005"),
    ("C7", 7, "87391001"),
    ("C6", 6, "36054005"),
    ("C5", 5, "36978003"),
    ("C4", 4, "5329002"),
    ("C3", 3, "113205007"),
    ("C2", 2, "39976000"),
    ("C1", 1, "14806007"),
)


def _colour(place: int, name: str) -> tuple[int, int, int]:
    """Return the colour of the level called `name` at position `place` of `_ROWS`."""
    red, green, blue = _PALETTE[place % len(_PALETTE)]
    if name[0] == "T":
        return tuple(round(c + (255 - c) * _LIGHTER) for c in (red, green, blue))  # type: ignore[return-value]
    if name[0] == "C":
        return tuple(round(c * _DARKER) for c in (red, green, blue))  # type: ignore[return-value]
    return red, green, blue


LEVELS: tuple[Level, ...] = tuple(
    Level(name, value, code, _colour(i, name)) for i, (name, value, code) in enumerate(_ROWS)
)
"""All known levels, from the bottom up, including the supernumerary L6 and T13."""

COMMON: tuple[str, ...] = tuple(level.name for level in LEVELS if level.name not in ("L6", "T13", "C1"))
"""The 24 levels of a spine with the usual count, from S1 up to C2."""

_BY_NAME = {level.name: level for level in LEVELS}
_BY_VALUE = {level.value: level for level in LEVELS}


def level(name: str) -> Level:
    """Return the level called `name`.

    Raises
    ------
    ValueError
        If no level has that name.
    """
    found = _BY_NAME.get(name.strip().upper())
    if found is None:
        raise ValueError(f"There is no vertebral level called {name!r}; use one of {', '.join(_BY_NAME)}.")
    return found


def level_of_value(value: int) -> Level | None:
    """Return the level with that label value, or None for values without a named level."""
    return _BY_VALUE.get(int(value))


def label_name(value: int) -> str:
    """Return the name of any label value: ``"L5"``, ``"L4-L5"`` (disc), ``"Dural sac"``, ``"Vertebra 3"``."""
    if value == CANAL_VALUE:
        return "Dural sac"
    if value == SACRUM_VALUE:
        return "Sacrum below S1"
    if is_arch(value):
        return arch_name(label_name(owner_value(value)))
    if is_disc(value):
        upper = label_name(owner_value(value))
        index = COMMON.index(upper) if upper in COMMON else 0
        return f"{upper}-{COMMON[index - 1]}" if index else f"Disc below {upper}"
    known = level_of_value(value)
    return known.name if known else f"Vertebra {value - UNANCHORED_BASE}"


def unanchored_value(position: int) -> int:
    """Return the label value of a vertebra without a level, by its position from the bottom (0 = lowest)."""
    return UNANCHORED_BASE + 1 + position


def value_above(value: int) -> int:
    """Return the label value of the next vertebra up, in the usual count; 0 if no disc lies between the two."""
    if value > UNANCHORED_BASE:
        return value + 1
    name = _BY_VALUE[value].name if value in _BY_VALUE else ""
    if name in ("L6", "T13"):
        return _BY_NAME["L5" if name == "L6" else "T12"].value
    following = COMMON[COMMON.index(name) + 1 :] if name in COMMON else ()
    return _BY_NAME[following[0]].value if following else 0


def disc_value(value_above: int) -> int:
    """Return the label value of the disc below the vertebra with label `value_above`."""
    return (UNANCHORED_DISC_BASE if value_above > UNANCHORED_BASE else DISC_BASE) + value_above


def arch_name(vertebra: str) -> str:
    """Return the name of the arch of a vertebra, given by its name: ``"Arch of L5"``."""
    return f"Arch of {vertebra}"


def arch_value(value: int) -> int:
    """Return the label value of the arch (the posterior elements) of the vertebra with label `value`."""
    return ARCH_BASE + value


def owner_value(value: int) -> int:
    """Return the label value of the vertebra that an arch or a disc (the vertebra above it) belongs to."""
    bases = UNANCHORED_DISC_BASE, ARCH_BASE, DISC_BASE
    return value - next((base for base in bases if value > base), 0)


def is_disc(value: int) -> bool:
    """Return whether a label value is that of a disc."""
    return DISC_BASE < value <= ARCH_BASE or value > UNANCHORED_DISC_BASE


def is_arch(value: int) -> bool:
    """Return whether a label value is that of an arch."""
    return ARCH_BASE < value <= UNANCHORED_DISC_BASE
