"""Table of the simulated MR sequences, for training, phantoms and experiments."""

from __future__ import annotations

from dataclasses import dataclass

Range = tuple[float, float]


@dataclass(frozen=True)
class SequenceKind:
    """One kind of MR sequence. To add one, append it to `SEQUENCES`.

    Attributes
    ----------
    name : str
        Name; also the name of its weight in a training config (`config.AppearanceConfig`).
    repetition_ms, echo_ms, inversion_ms : tuple of float
        Lowest and highest TR, TE and TI. TI is (0, 0) without an inversion pulse.
    parts_weight : float
        Default fraction of the tiles for training the part network.
    ladder_weight, levels_weight : float
        Fraction of the scenes for training the ladder network, and of the images for training the level network.
    in_phantoms : bool
        Whether `spinaltap phantom` offers it.
    gradient_echo : bool
        The signal decays with T2* instead of T2.
    water_only : bool
        Water image of the Dixon method, with little remaining fat signal.
    random : bool
        Tissues have random intensities instead of those of the signal equations.
    """

    name: str
    repetition_ms: Range
    echo_ms: Range
    parts_weight: float
    ladder_weight: float
    levels_weight: float
    inversion_ms: Range = (0, 0)
    in_phantoms: bool = False
    gradient_echo: bool = False
    water_only: bool = False
    random: bool = False

    @property
    def inverted(self) -> bool:
        """Whether it is an inversion-recovery sequence, such as STIR."""
        return self.inversion_ms[1] > 0


# TR, TE and TI are the usual ranges of sagittal spine protocols at 1.5 and 3 T, slightly widened (common practice, no
# single source; Dixon as T1 or T2 turbo spin echo). Append new kinds: random draws depend on the order.
SEQUENCES = (
    SequenceKind("t1", (400, 750), (8, 16), 0.28, 0.30, 0.28, in_phantoms=True),
    SequenceKind("t2", (2500, 5000), (75, 130), 0.28, 0.30, 0.34, in_phantoms=True),
    SequenceKind("stir", (3000, 5500), (25, 75), 0.12, 0.12, 0.13, inversion_ms=(130, 200), in_phantoms=True),
    SequenceKind("pd", (2000, 3500), (12, 40), 0.04, 0.04, 0.04),
    SequenceKind("dixon_water", (500, 4500), (10, 110), 0.03, 0.02, 0.03, water_only=True),
    SequenceKind("t2star", (350, 800), (9, 28), 0.03, 0.02, 0.02, gradient_echo=True),
    SequenceKind("random", (400, 5000), (8, 130), 0.22, 0.20, 0.16, random=True),
)

KINDS = tuple(kind.name for kind in SEQUENCES)
IN_PHANTOMS = tuple(kind.name for kind in SEQUENCES if kind.in_phantoms)
LADDER_WEIGHTS = [kind.ladder_weight for kind in SEQUENCES]
LEVELS_WEIGHTS = [kind.levels_weight for kind in SEQUENCES]


def only(**weights: float) -> dict[str, float]:
    """Return a weight for every kind: the given ones, and 0 for all others.

    Raises
    ------
    ValueError
        If there is no such kind.

    Examples
    --------
    >>> only(t1=0.5, t2=0.5)["stir"]
    0.0
    """
    unknown = sorted(set(weights) - set(KINDS))
    if unknown:
        raise ValueError(f"There is no sequence called {unknown[0]!r}; use one of {', '.join(KINDS)}.")
    return {name: float(weights.get(name, 0.0)) for name in KINDS}
