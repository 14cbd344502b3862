"""Write ``measurements.csv``: one row per vertebra, then one per angle of the whole spine."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

from ..spine.angles import spine_curves
from ..spine.vertebra import Spine

MEASUREMENTS = (
    "height_anterior_mm",
    "height_middle_mm",
    "height_posterior_mm",
    "depth_mm",
    "wedge_ratio",
    "biconcavity_ratio",
    "crush_ratio",
    "wedge_angle_deg",
    "disc_height_anterior_mm",
    "disc_height_middle_mm",
    "disc_height_posterior_mm",
    "disc_height_index",
    "disc_angle_deg",
    "slip_mm",
    "slip_percent",
    "canal_area_mm2",
    "canal_area_disc_mm2",
)
"""Measurement columns, always present; disc and slip refer to the vertebra and the one below it."""

COLUMNS = (
    "structure", "level", "label_value", "confidence", *MEASUREMENTS, "angle_deg", "flags", "outline_confidence",
)  # fmt: skip
"""Columns: ``structure`` is ``"vertebra"``, or the name of an angle, whose degrees are in ``angle_deg``."""


def measurements_csv(spine: Spine) -> str:
    """Return the table of a measured spine, from the bottom up, as comma-separated values with a heading."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for vertebra in spine.vertebrae:
        writer.writerow(
            {
                "structure": "vertebra",
                "level": vertebra.name,
                "label_value": vertebra.label_value,
                "confidence": f"{vertebra.confidence:.3f}",
                **_words(vertebra.measurements),
                "flags": "; ".join(vertebra.flags),
                "outline_confidence": _odds(vertebra.outline_confidence),
            }
        )
    for curve in spine_curves(spine):
        writer.writerow({"structure": curve.name, "level": curve.levels, "angle_deg": f"{curve.angle_deg:.1f}"})
    return text.getvalue()


def _odds(probability: float | None) -> str:
    return "" if probability is None else f"{probability:.3f}"


def _words(values: Mapping[str, float]) -> dict[str, str]:
    ratios = ("_ratio", "_index")
    return {name: f"{values[name]:.{3 if name.endswith(ratios) else 2}f}" for name in MEASUREMENTS if name in values}
