"""The area of the canal at a level is that of the sections there, and unknown where too few are known."""

from __future__ import annotations

import numpy as np
import pytest

from SpinalTapLib.spine.canal_sections import CanalSections

UP = np.array([0.0, 0.0, 1.0])


def sections(areas) -> CanalSections:
    heights = -np.arange(len(areas), dtype=float)
    return CanalSections(np.stack([0 * heights, 20 + 0 * heights, heights], 1), np.asarray(areas, float))


def test_the_mean_of_the_sections_at_the_height_of_a_point():
    areas = [200.0] * 20 + [100.0] * 20
    assert sections(areas).area_mm2(np.array([5.0, 0, -10]), UP) == pytest.approx(200)
    assert sections(areas).area_mm2(np.array([5.0, 0, -30]), UP) == pytest.approx(100)


def test_nothing_is_said_above_the_canal_or_where_an_artefact_hides_it():
    areas = np.full(40, 150.0)
    areas[18:24] = np.nan
    assert sections(areas).area_mm2(np.array([0, 0, 30.0]), UP) is None
    assert sections(areas).area_mm2(np.array([0, 0, -20.5]), UP) is None
    assert sections(areas).area_mm2(np.array([0, 0, -5.0]), UP) == pytest.approx(150)
