"""Draw the intensity of each tissue in an MR image, from the signal equations or at random."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..synthetic.tissues import N_TISSUES, Tissue
from .random_numbers import Chance
from .sequences import KINDS, SEQUENCES

_FAT_T1_MS, _FAT_T2_MS = 343.0, 110.0
# Subcutaneous fat at 1.5 T (de Bazelaire et al., Radiology 2004: 343 / 58 ms). Turbo spin echo suppresses J-coupling:
# fat is as bright as with a T2 of about 100 ms.

# Water component: proton density relative to water, T1 ms, T2 ms at 1.5 T; then fat fraction. De Bazelaire 2004:
# muscle, marrow and organs; Smith et al. 2008: cord; Ruschke et al. 2021: marrow water and fat; the others are
# typical textbook values. They are varied widely in every image.
_PHYSICS: dict[Tissue, tuple[float, float, float, float]] = {
    Tissue.AIR: (0.0, 1000, 50, 0.0),
    Tissue.FAT: (0.8, 900, 40, 0.92),
    Tissue.MUSCLE: (0.85, 870, 38, 0.04),
    Tissue.MUSCLE_FAT: (0.8, 870, 38, 0.55),
    Tissue.ORGAN_A: (0.8, 600, 48, 0.05),
    Tissue.ORGAN_B: (0.85, 950, 70, 0.05),
    Tissue.ORGAN_C: (0.85, 1100, 60, 0.10),
    Tissue.FLUID: (1.0, 3000, 500, 0.0),
    Tissue.GAS: (0.02, 1000, 20, 0.0),
    Tissue.LUNG: (0.15, 1000, 25, 0.0),
    Tissue.VESSEL: (0.9, 1300, 150, 0.0),
    Tissue.VESSEL_WALL: (0.7, 900, 35, 0.1),
    Tissue.POSTERIOR_MARROW: (0.75, 1100, 42, 0.50),
    Tissue.CORTEX: (0.06, 600, 8, 0.0),
    Tissue.LIGAMENT: (0.35, 700, 12, 0.03),
    Tissue.EPIDURAL_FAT: (0.8, 900, 40, 0.85),
    Tissue.CSF: (1.0, 4000, 1500, 0.0),
    Tissue.CORD: (0.82, 900, 75, 0.0),
    Tissue.ROOTS: (0.85, 1100, 95, 0.0),
    Tissue.ANNULUS_OUTER: (0.45, 800, 14, 0.0),
    Tissue.ANNULUS_INNER: (0.75, 950, 55, 0.0),
    Tissue.NUCLEUS: (0.95, 1150, 125, 0.0),
    Tissue.NUCLEUS_DRY: (0.75, 900, 52, 0.0),
    Tissue.NUCLEUS_GAS: (0.05, 900, 15, 0.0),
    Tissue.MARROW: (0.78, 1150, 42, 0.38),
    Tissue.BASIVERTEBRAL: (0.9, 1200, 110, 0.2),
    Tissue.SACRAL_MARROW: (0.78, 1150, 42, 0.45),
    Tissue.SACRAL_DISC: (0.6, 900, 45, 0.05),
    Tissue.ENDPLATE: (0.4, 800, 18, 0.0),
    Tissue.MODIC_1: (0.9, 1250, 80, 0.15),
    Tissue.MODIC_2: (0.8, 1000, 45, 0.80),
    Tissue.MODIC_3: (0.4, 800, 20, 0.05),
    Tissue.LESION: (0.9, 1100, 75, 0.03),
    Tissue.HAEMANGIOMA: (0.9, 1100, 110, 0.60),
    Tissue.CEMENT: (0.03, 800, 8, 0.0),
    Tissue.METAL: (0.0, 800, 8, 0.0),
    Tissue.BRAIN: (0.85, 800, 85, 0.0),
    Tissue.SKULL: (0.5, 900, 35, 0.35),
    Tissue.HEART: (0.85, 950, 50, 0.05),
    Tissue.SKIN: (0.7, 600, 30, 0.2),
}

_FAMILIES = (
    # Tissues of the same kind have similar intensities, even if these are random.
    (Tissue.MARROW, Tissue.SACRAL_MARROW, Tissue.POSTERIOR_MARROW),
    (Tissue.FAT, Tissue.EPIDURAL_FAT),
)
_DARK = (Tissue.CORTEX, Tissue.LIGAMENT, Tissue.ANNULUS_OUTER, Tissue.ENDPLATE, Tissue.NUCLEUS_GAS, Tissue.CEMENT)
_VOID = (Tissue.AIR, Tissue.METAL)
_SOFT = (
    Tissue.MUSCLE, Tissue.ORGAN_A, Tissue.ORGAN_B, Tissue.ORGAN_C, Tissue.CSF, Tissue.CORD, Tissue.ANNULUS_INNER,
    Tissue.NUCLEUS, Tissue.MARROW, Tissue.VESSEL, Tissue.FAT,
)  # fmt: skip


@dataclass(frozen=True)
class Contrast:
    """Intensity of every tissue in every image of a batch; about one for the brightest common tissue.

    Attributes
    ----------
    mean : Tensor, shape (n, N_TISSUES)
    fat : Tensor, shape (n, N_TISSUES)
        Fraction of `mean` that comes from fat, which is displaced by chemical shift.
    """

    mean: torch.Tensor
    fat: torch.Tensor

    def repeated(self, images: int) -> Contrast:
        """Return the contrast with each image repeated `images` times."""
        return Contrast(self.mean.repeat_interleave(images, 0), self.fat.repeat_interleave(images, 0))


def draw_contrast(weights: list[float], chance: Chance, n: int) -> Contrast:
    """Draw the contrast of n images.

    Parameters
    ----------
    weights : list of float
        One for each of `sequences.SEQUENCES`, in their order.
    chance : Chance
    n : int

    Raises
    ------
    ValueError
        If there is not one weight per sequence.
    """
    if len(weights) != len(KINDS):
        raise ValueError(f"One weight is needed for each of the sequences {', '.join(KINDS)}; got {len(weights)}.")
    kind = chance.choice(weights, n).to(chance.device)
    water, fat = _physics(kind, chance, n)
    mean = water + fat
    mean = mean / _brightest(mean)
    random = _is("random", kind)[:, None]
    mean = torch.where(random, _random_means(chance, n), mean)
    fraction = torch.where(random, _fat_fractions(chance.device), fat / (water + fat).clamp(min=1e-6))
    mean = _varied(mean, chance, n)
    return Contrast(mean.clamp(min=0), fraction.clamp(0, 1))


def _is(trait: str, kind: torch.Tensor) -> torch.Tensor:
    """Return which images have a sequence with a given boolean attribute of `SequenceKind`; bool, shape (n,)."""
    return torch.tensor([bool(getattr(sequence, trait)) for sequence in SEQUENCES], device=kind.device)[kind]


def _table(column: int, device: torch.device) -> torch.Tensor:
    """Return one column of the physics table, shape (N_TISSUES,)."""
    return torch.tensor([_PHYSICS[tissue][column] for tissue in Tissue], device=device)


def _fat_fractions(device: torch.device) -> torch.Tensor:
    return _table(3, device)[None]


def _physics(kind: torch.Tensor, chance: Chance, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the water and the fat signal of every tissue, each of shape (n, N_TISSUES).

    Spin echo: PD (1 - exp(-TR/T1)) exp(-TE/T2); inversion recovery: PD |1 - 2 exp(-TI/T1) + exp(-TR/T1)| exp(-TE/T2)
    (Bernstein, King, Zhou, Handbook of MRI Pulse Sequences, 2004, chapters 14.2 and 14.3).
    """
    device = chance.device
    density = _table(0, device) * chance.lognormal(0.08, n, N_TISSUES)
    t1 = _table(1, device) * chance.lognormal(0.15, n, N_TISSUES)
    t2 = _table(2, device) * chance.lognormal(0.22, n, N_TISSUES)
    fraction = _marrow_fat(_fat_fractions(device), chance, n)
    tr, te, ti = _timing(kind, chance, n)
    is_inverted = _is("inverted", kind)[:, None]
    shortened = torch.where(_is("gradient_echo", kind)[:, None], 0.45, 1.0)  # T2* against T2

    def signal(pd: torch.Tensor, t1: torch.Tensor, t2: torch.Tensor) -> torch.Tensor:
        recovered = 1 - torch.exp(-tr / t1)
        inverted = (1 - 2 * torch.exp(-ti / t1) + torch.exp(-tr / t1)).abs()
        return pd * torch.where(is_inverted, inverted, recovered) * torch.exp(-te / (t2 * shortened))

    water = (1 - fraction) * signal(density, t1, t2)
    fat_t1 = torch.full_like(t1, _FAT_T1_MS)
    fat = fraction * signal(torch.ones_like(t1), fat_t1, torch.full_like(t1, _FAT_T2_MS)) * chance.lognormal(0.15, n, 1)
    kept = torch.where(_is("water_only", kind), chance.uniform(0, 0.12, n), torch.ones(n, device=device))
    residue = torch.where(is_inverted[:, 0], chance.uniform(0.02, 0.1, n), torch.zeros(n, device=device))
    return water, fat * kept[:, None] + fraction * residue[:, None]


def _marrow_fat(fraction: torch.Tensor, chance: Chance, n: int) -> torch.Tensor:
    """Return fat fractions (n, N_TISSUES) with random marrow, from red (young) to yellow (old)."""
    result = fraction.repeat(n, 1)
    shift = chance.normal(0.15, n)
    for tissue in _FAMILIES[0]:
        result[:, tissue] += shift + chance.normal(0.03, n)
    return result.clamp(0, 0.95)


def _timing(kind: torch.Tensor, chance: Chance, n: int) -> tuple[torch.Tensor, ...]:
    """Return repetition, echo and inversion time of each image, ms, each of shape (n, 1)."""
    table = [(sequence.repetition_ms, sequence.echo_ms, sequence.inversion_ms) for sequence in SEQUENCES]
    ranges = torch.tensor(table, dtype=torch.float32, device=chance.device)[kind]
    values = ranges[:, :, 0] + (ranges[:, :, 1] - ranges[:, :, 0]) * chance.uniform(0, 1, n, 3)
    return tuple(values[:, i, None] for i in range(3))


def _brightest(mean: torch.Tensor) -> torch.Tensor:
    """Return 1.3 times the third-highest intensity of the common tissues, shape (n, 1)."""
    return mean[:, [int(t) for t in _SOFT]].sort(dim=1, descending=True).values[:, 2:3].clamp(min=1e-3) * 1.3


def _random_means(chance: Chance, n: int) -> torch.Tensor:
    """Return random intensities (n, N_TISSUES); tissues that are dark in every sequence stay dark."""
    mean = chance.uniform(0.03, 1.0, n, N_TISSUES)
    for tissue in _DARK:
        mean[:, tissue] *= chance.uniform(0, 0.5, n)
    return mean


def _varied(mean: torch.Tensor, chance: Chance, n: int) -> torch.Tensor:
    """Return randomly varied intensities: scaled, swapped between tissues, and redrawn for vessels and cortex."""
    mean = mean.clone()
    for family in _FAMILIES:
        first = mean[:, family[0]]
        for tissue in family[1:]:
            mean[:, tissue] = first + (mean[:, tissue] - first) * chance.uniform(0, 1, n)
            mean[:, tissue] *= chance.lognormal(0.07, n)
    wide = chance.happens(0.5, n)
    mean[wide] *= chance.uniform(0.6, 1.6, len(wide), N_TISSUES)
    for image in chance.happens(0.12, n).tolist():
        a, b = (int(_SOFT[i]) for i in torch.randperm(len(_SOFT), generator=chance.scalars)[:2])
        mean[image, [a, b]] = mean[image, [b, a]]
    mean[:, Tissue.VESSEL] = torch.where(
        chance.uniform(0, 1, n) < 0.6, chance.uniform(0, 0.12, n), mean[:, Tissue.VESSEL] * chance.uniform(0.5, 1.8, n)
    )
    mean[:, Tissue.CORTEX] = torch.where(
        chance.uniform(0, 1, n) < 0.9, mean[:, Tissue.MARROW] * chance.uniform(0, 0.4, n), mean[:, Tissue.MARROW]
    )
    mean[:, Tissue.ENDPLATE] = torch.lerp(mean[:, Tissue.CORTEX], mean[:, Tissue.ENDPLATE], chance.uniform(0, 1, n))
    mean[:, list(map(int, _VOID))] = 0.0
    bright_air = chance.happens(0.03, n)
    mean[bright_air, Tissue.AIR] = chance.uniform(0, 0.1, len(bright_air))
    return mean
