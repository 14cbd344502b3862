"""Measure heights, discs, offsets and angles of vertebral bodies.

Measurements of one vertebra (keys of `Vertebra.measurements`; a disc belongs to the vertebra above it):

========================  ==============================================================================
key                       formula
========================  ==============================================================================
height_anterior_mm        distance of the anterior corners, upper to lower (Ha)
height_posterior_mm       distance of the posterior corners (Hp)
height_middle_mm          mean extent of the mask, along the body's upward direction, over the middle fifth
                          of its depth (Hm); absent without a mask
depth_mm                  mean length of the upper and the lower endplate
wedge_ratio               Ha / Hp
biconcavity_ratio         Hm / the same extent over a fifth of the depth near the posterior wall (at 85 %); both
                          from the mask, so that a corner off the mask's edge does not look like a height loss
crush_ratio               Hp / mean Hp of the two neighbours; absent without both
wedge_angle_deg           from the upper to the lower endplate; positive where the anterior side is taller
disc_height_anterior_mm   distance of the anterior corners of the two facing endplates, perpendicular to the
                          bisector of the endplates (Frobin et al., Clin Biomech 12(S1), 1997)
disc_height_posterior_mm  the same at the posterior corners
disc_height_middle_mm     mean gap between the two masks over the middle fifth; without masks, the mean of the
                          anterior and the posterior disc height
disc_height_index         mean of the three / mean height of the two bodies
disc_angle_deg            from the lower endplate above to the upper endplate below; positive where the disc
                          space opens anteriorly
slip_mm                   distance by which the posterior inferior corner lies anterior to the posterior superior
                          corner of the vertebra below, along the upper endplate of that vertebra (after Meyerding)
slip_percent              slip in per cent of the length of that endplate
canal_area_mm2            cross-section of the dural sac, perpendicular to the canal, at the middle of the body; only if
                          the sac was segmented
canal_area_disc_mm2       the same at the middle of the disc below
========================  ==============================================================================

Angles are measured in the mean sagittal plane of the bodies concerned, so a tilted or rotated scan does not change
them. These are measurements, not findings: the flags state a measured value and the range it lies in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .angles import signed_angle_deg, upper_plate
from .canal_sections import CanalSections
from .mask_heights import BodyMasks
from .notes import Note, notes_in
from .vertebra import Spine, Vertebra

HEIGHT_LOSS_RANGES = ((40.0, "severe"), (25.0, "moderate"), (20.0, "mild"))
"""Least height loss, per cent, and its grade (Genant et al., J Bone Miner Res 8:1137, 1993)."""
SLIP_FLAG_MM = 3.0
"""Least offset that gets a flag; smaller ones are within the error of the corners (about 1 mm each)."""

_NO_HEIGHT_FLAGS = ("S1", "C1", "C2", "C3", "C4", "C5", "C6", "C7")
# The grades were defined on T4-L4. In cervical bodies of 11-14 mm, a corner error of one millimetre makes 8 %.
_NEAR_POSTERIOR_WALL = 0.85  # of the depth: posterior to the concave part of the endplates, anterior to the rounded rim
_LEAST_UNNAMED_MM = 15.0  # least posterior height of a body without a level that is taken to be below the neck
_NOT_NEIGHBOURS = ("S1", "C2", "C1")  # levels whose posterior heights do not predict those of their neighbours


def measure_spine(spine: Spine, matrix: np.ndarray | None = None, canal: CanalSections | None = None) -> Spine:
    """Return the spine with new `measurements` and measured `flags` for every vertebra, in place of earlier ones.

    Parameters
    ----------
    spine : Spine
        Vertebrae from the bottom up.
    matrix : ndarray, shape (4, 4), optional
        (slice, row, column, 1) of the spine's label map to LPS mm. The middle heights need both matrix and label map.
    canal : CanalSections, optional
        Cross-sections of the canal, for its areas.
    """
    masks = BodyMasks(spine.label_map, matrix) if matrix is not None and spine.label_map is not None else None
    return replace(spine, vertebrae=measure(spine.vertebrae, masks, canal))


def measure(
    vertebrae: Sequence[Vertebra], masks: BodyMasks | None = None, canal: CanalSections | None = None
) -> tuple[Vertebra, ...]:
    """Return the vertebrae, from the bottom up, with their measurements and measured flags."""
    own = [measure_body(vertebra, masks) for vertebra in vertebrae]
    measured = []
    for i, vertebra in enumerate(vertebrae):
        values = dict(own[i])
        apart = Note.MISSING_BELOW in vertebra.flags  # the space below it is not a single disc
        if i > 0 and not apart:
            values |= measure_disc(vertebra, vertebrae[i - 1], own[i], own[i - 1], masks)
        if canal is not None:
            values |= canal_areas(canal, vertebra, None if apart or i == 0 else vertebrae[i - 1])
        crush = _crush_ratio(vertebrae, own, i)
        if crush is not None:
            values["crush_ratio"] = crush
        below = vertebrae[i - 1] if i > 0 and not apart else None
        kept = tuple(flag for flag in vertebra.flags if not _is_measured(flag))
        measured.append(replace(vertebra, measurements=values, flags=kept + _flags(vertebra, below, values)))
    return tuple(measured)


def measure_body(vertebra: Vertebra, masks: BodyMasks | None = None) -> dict[str, float]:
    """Return the heights, depth, ratios and wedge angle of one body (see the module's table)."""
    superior_anterior, superior_posterior, inferior_posterior, inferior_anterior = vertebra.corners_lps_mm
    anterior = float(np.linalg.norm(superior_anterior - inferior_anterior))
    posterior = float(np.linalg.norm(superior_posterior - inferior_posterior))
    values = {
        "height_anterior_mm": anterior,
        "height_posterior_mm": posterior,
        "depth_mm": vertebra.depth_mm,
        "wedge_angle_deg": signed_angle_deg(
            superior_posterior - superior_anterior, inferior_posterior - inferior_anterior, vertebra.left
        ),
    }
    if posterior > 0:
        values["wedge_ratio"] = anterior / posterior
    middle, rear = (masks.height_mm(vertebra, part) if masks else None for part in (0.5, _NEAR_POSTERIOR_WALL))
    if middle is not None:
        values["height_middle_mm"] = middle
        if rear is not None:
            values["biconcavity_ratio"] = middle / rear
    return values


def measure_disc(
    upper: Vertebra,
    lower: Vertebra,
    upper_values: dict[str, float],
    lower_values: dict[str, float],
    masks: BodyMasks | None = None,
) -> dict[str, float]:
    """Return the disc, slip and angle measurements between two neighbours (see the module's table)."""
    left = upper.left + lower.left
    left = left / np.linalg.norm(left)
    above_posterior, above_anterior = upper.corners_lps_mm[2], upper.corners_lps_mm[3]
    below_anterior, below_posterior = lower.corners_lps_mm[0], lower.corners_lps_mm[1]
    above, below = above_posterior - above_anterior, upper_plate(lower)
    across = np.cross(left, _unit(_unit(above) + _unit(below)))  # upwards, perpendicular to the bisector
    # The corners of two bodies with a collapsed disc between them may overlap by a part of their error.
    anterior = max(float(across @ (above_anterior - below_anterior)), 0.0)
    posterior = max(float(across @ (above_posterior - below_posterior)), 0.0)
    middle = masks.gap_mm(upper, lower) if masks else None
    middle = (anterior + posterior) / 2 if middle is None else max(middle, 0.0)
    plate = below - (below @ left) * left
    slip = float(-(above_posterior - below_posterior) @ _unit(plate))
    body = (_mean_height(upper_values) + _mean_height(lower_values)) / 2
    return {
        "disc_height_anterior_mm": anterior,
        "disc_height_middle_mm": middle,
        "disc_height_posterior_mm": posterior,
        "disc_height_index": (anterior + middle + posterior) / 3 / body,
        "disc_angle_deg": signed_angle_deg(above, below, left),
        "slip_mm": slip,
        "slip_percent": 100 * slip / max(float(np.linalg.norm(plate)), 1e-9),
    }


def canal_areas(canal: CanalSections, vertebra: Vertebra, below: Vertebra | None) -> dict[str, float]:
    """Return the areas of the canal behind a body and behind the disc below it, those that are known."""
    found = {"canal_area_mm2": canal.area_mm2(vertebra.centroid_lps_mm, vertebra.up)}
    if below is not None:
        disc = (vertebra.corners_lps_mm[2:].mean(0) + below.corners_lps_mm[:2].mean(0)) / 2
        found["canal_area_disc_mm2"] = canal.area_mm2(disc, _unit(vertebra.up + below.up))
    return {name: area for name, area in found.items() if area is not None}


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / max(float(np.linalg.norm(vector)), 1e-9)


def _mean_height(values: dict[str, float]) -> float:
    ends = (values["height_anterior_mm"] + values["height_posterior_mm"]) / 2
    return max(values.get("height_middle_mm", ends), 1e-9)


def _crush_ratio(vertebrae: Sequence[Vertebra], own: Sequence[dict[str, float]], i: int) -> float | None:
    """Return a posterior height over the mean of both neighbours (which cancels the growth down the spine), or None."""
    if not 0 < i < len(vertebrae) - 1:
        return None
    if any(vertebrae[k].level in _NOT_NEIGHBOURS for k in (i - 1, i, i + 1)):
        return None
    expected = (own[i - 1]["height_posterior_mm"] + own[i + 1]["height_posterior_mm"]) / 2
    return own[i]["height_posterior_mm"] / expected if expected > 0 else None


def _flags(vertebra: Vertebra, below: Vertebra | None, values: dict[str, float]) -> tuple[str, ...]:
    flags = []
    if not _is_unsure(vertebra):
        loss = height_loss(values)
        if loss is not None and may_lose_height(vertebra, values):
            place, percent, severity = loss
            flags.append(Note.HEIGHT_LOSS.text(place=place, percent=percent, severity=severity))
        if below is not None and not _is_unsure(below) and abs(values["slip_mm"]) >= SLIP_FLAG_MM:
            flags.append(
                Note.OFFSET.text(
                    distance_mm=abs(values["slip_mm"]),
                    direction="forward" if values["slip_mm"] > 0 else "backward",
                    below=below.level or "the vertebra below",
                )
            )
    return tuple(flags)


def may_lose_height(vertebra: Vertebra, values: dict[str, float]) -> bool:
    """Return whether Genant's grades may be applied to a body: not in the neck, nor to S1."""
    if vertebra.level is None:
        return values["height_posterior_mm"] >= _LEAST_UNNAMED_MM
    return vertebra.level not in _NO_HEIGHT_FLAGS


def _is_unsure(vertebra: Vertebra) -> bool:
    return any(note.means_unsure_corners for note in notes_in(vertebra.flags))


def _is_measured(flag: str) -> bool:
    note = Note.of(flag)
    return note is not None and note.is_measured


def height_loss(values: dict[str, float]) -> tuple[str, float, str] | None:
    """Return the place, the amount (per cent) and the grade of the largest height loss, or None below 20 %.

    The anterior and the middle height are compared with the posterior height of the same body, the posterior height
    with those of the neighbours, as in Genant's semiquantitative grading (see `HEIGHT_LOSS_RANGES`).

    Parameters
    ----------
    values : dict of str to float
        Measurements of one vertebra.
    """
    ratios = {"anterior": "wedge_ratio", "middle": "biconcavity_ratio", "posterior": "crush_ratio"}
    losses = {place: 100 * (1 - values[key]) for place, key in ratios.items() if key in values}
    place = max(losses, key=lambda name: losses[name], default=None)
    if place is None:
        return None
    for least, word in HEIGHT_LOSS_RANGES:
        if losses[place] >= least:
            return place, losses[place], word
    return None
