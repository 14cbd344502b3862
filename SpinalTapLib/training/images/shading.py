"""Draw shading: intensity factors that depend on the position in the image, not on the tissue."""

from __future__ import annotations

import torch
from torch.nn import functional

from ..config import AppearanceConfig
from .random_numbers import Chance


def draw_shading(points: torch.Tensor, side: int, config: AppearanceConfig, chance: Chance) -> torch.Tensor:
    """Draw coil sensitivity, bias field, saturation bands and seams between stations.

    Parameters
    ----------
    points : Tensor, shape (n, vertebrae, 5, 2)
        (row, column) of corners and centroids, px, NaN where unknown. Coils are behind the spine, bands in front.
    side : int
        Side of the tile, px.
    config : AppearanceConfig
    chance : Chance

    Returns
    -------
    Tensor, shape (n, side, side)
        Factors; one where there is no shading.
    """
    n = len(points)
    rows, columns = _coordinates(side, chance.device)
    spine = _spine_column(points, side, chance)
    gain = torch.ones((n, side, side), device=chance.device)
    for probability, factor in (
        (config.coil, _coil),
        (config.saturation_band, _band),
        (config.seam, _seam),
        (config.bias, _bias),
    ):
        chosen = chance.happens(probability, n)
        if len(chosen):
            gain[chosen] *= factor(rows, columns, spine[chosen], chance)
    return gain


def _coordinates(side: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return row and column of each pixel, shapes (1, side, 1) and (1, 1, side)."""
    line = torch.arange(side, device=device, dtype=torch.float32)
    return line[None, :, None], line[None, None, :]


def _spine_column(points: torch.Tensor, side: int, chance: Chance) -> torch.Tensor:
    """Return the mean column of the bodies in each tile, or a random column without bodies, shape (n,)."""
    centre = points[:, :, 4]
    inside = ((centre >= 0) & (centre < side)).all(-1)  # False for NaN
    total = torch.where(inside, centre[..., 1], 0.0).sum(1)
    count = inside.sum(1)
    return torch.where(count > 0, total / count.clamp(min=1), chance.uniform(0.2, 0.8, len(points)) * side)


def _coil(rows: torch.Tensor, columns: torch.Tensor, spine: torch.Tensor, chance: Chance) -> torch.Tensor:
    """Return the fall-off of the signal with the distance d from coils under the back, and along them.

    For some tiles 1 / (1 + (d / d0)^2), flat near the skin, as after the scanner's correction; for the others
    exp(-d / d0), steep near the skin, as from small coil elements without correction.
    """
    n, side = len(spine), rows.shape[1]
    back = (spine + chance.uniform(20, 100, n))[:, None, None]
    tilt = chance.normal(0.09, n, 1, 1)
    distance = (back - columns - tilt * (rows - side / 2)).clamp(min=0)
    depth = (chance.uniform(3.5, 5.3, n, 1, 1)).exp()  # 33-200 px
    steep = chance.uniform(0, 1, n, 1, 1) < 0.4
    gain = torch.where(steep, torch.exp(-distance / (depth + 40)), 1 / (1 + (distance / depth).square()))
    period, phase = chance.uniform(40, 120, n, 1, 1), chance.uniform(0, 6.28, n, 1, 1)
    gain = gain * (1 + chance.uniform(0, 0.25, n, 1, 1) * (6.283 * rows / period + phase).cos() * gain)
    centre, reach = chance.normal(45, n, 1, 1) + side / 2, chance.uniform(70, 400, n, 1, 1)
    return gain / (1 + ((rows - centre) / reach) ** 4)


def _band(rows: torch.Tensor, columns: torch.Tensor, spine: torch.Tensor, chance: Chance) -> torch.Tensor:
    """Return a saturation band in front of the spine."""
    n, side = len(spine), rows.shape[1]
    edge = (spine - chance.uniform(18, 100, n))[:, None, None] + chance.normal(0.16, n, 1, 1) * (rows - side / 2)
    left = chance.uniform(0.02, 0.5, n, 1, 1)
    return left + (1 - left) * torch.sigmoid((columns - edge) / chance.uniform(0.8, 12, n, 1, 1))


def _seam(rows: torch.Tensor, columns: torch.Tensor, spine: torch.Tensor, chance: Chance) -> torch.Tensor:
    """Return the intensity step at the seam between two stations of a composed scan."""
    n, side = len(spine), rows.shape[1]
    edge = chance.uniform(0.1, 0.9, n, 1, 1) * side
    step = torch.sigmoid((rows - edge) / chance.uniform(0.3, 6, n, 1, 1))
    fade = 1 - chance.uniform(0, 0.5, n, 1, 1) * torch.exp(-((rows - edge) / chance.uniform(8, 40, n, 1, 1)).square())
    return (chance.normal(0.3, n, 1, 1) * step).exp() * fade


def _bias(rows: torch.Tensor, columns: torch.Tensor, spine: torch.Tensor, chance: Chance) -> torch.Tensor:
    """Return a smooth, log-normal random field."""
    n, side = len(spine), rows.shape[1]
    coarse = chance.normal(1.0, n, 1, 4, 4) * chance.uniform(0, 0.5, n, 1, 1, 1)
    return functional.interpolate(coarse, size=(side, side), mode="bicubic", align_corners=True)[:, 0].exp()
