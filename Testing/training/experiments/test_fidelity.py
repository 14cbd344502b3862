"""The measure of fidelity: right where the answer is known, and the targets on bodies of synthetic spines."""

from __future__ import annotations

import numpy as np
import pytest
from vtkmodules.vtkFiltersSources import vtkSphereSource

from SpinalTapLib.bodies.triangle_mesh import mesh_arrays
from SpinalTapLib.training.experiments.fidelity import Fidelity, fidelity_table, mean_fidelity, measure_fidelity
from SpinalTapLib.training.experiments.true_surface import compare_surface, true_body
from SpinalTapLib.training.synthetic.body_shape import Body

BODY = Body("L3", np.zeros(3), np.eye(3), 26.0, 0.0, 33.0, 34.0, 42.0, 44.0)


@pytest.fixture(scope="module")
def truth():
    return true_body(BODY)


def ball(radius: float):
    source = vtkSphereSource()
    source.SetRadius(radius)
    source.SetThetaResolution(120)
    source.SetPhiResolution(120)
    source.Update()
    return mesh_arrays(source.GetOutput())


def test_a_surface_is_no_distance_from_itself(truth):
    mean, worst, volume = compare_surface(truth.points, truth.triangles, truth)
    assert mean < 1e-3 and worst < 1e-3 and abs(volume) < 1e-6


def test_distances_and_volumes_of_concentric_balls_are_known():
    small, large = ball(10.0), ball(11.0)
    known = true_body(BODY)
    known = type(known)(BODY, known.field, known.matrix, *small)
    mean, worst, volume = compare_surface(*large, known)
    assert mean == pytest.approx(1.0, abs=0.01) and worst == pytest.approx(1.0, abs=0.02)
    assert volume == pytest.approx(100 * (1.1**3 - 1), abs=0.5)


def test_the_true_surface_is_where_the_body_ends(truth):
    from SpinalTapLib.training.synthetic.body_shape import body_distance

    assert np.abs(body_distance(BODY, *BODY.local(truth.points))).mean() < 0.1
    assert np.abs(truth.points.mean(0)).max() < 2


def test_means_take_volume_errors_without_their_sign_and_the_table_holds_every_row():
    pair = (Fidelity(0.98, 0.1, 0.3, -2.0), Fidelity(0.96, 0.2, 0.6, 4.0))
    other = (Fidelity(0.96, 0.3, 0.5, 2.0), Fidelity(0.94, 0.4, 0.8, -4.0))
    assert mean_fidelity([pair[0], other[0]]).volume_percent == 2.0
    table = fidelity_table({(4.0, 0.8): [pair, other]})
    assert "| 4 | 0.8 | 2 | 0.970 | 0.20 | 0.40 | 2.0 | 0.950 | 0.30 | 0.70 | 4.0 | 1.5 |" in table


def test_surfaces_at_4_mm_meet_the_targets_and_are_twice_as_near_as_the_plain_stack():
    found = measure_fidelity((4.0,), (0.8,), spines=1, seed=3)[4.0, 0.8]
    assert len(found) >= 5
    ours, plain = (mean_fidelity([pair[side] for pair in found]) for side in (0, 1))
    assert ours.distance_mm <= 0.6 and ours.volume_percent <= 3
    assert plain.distance_mm / ours.distance_mm >= 2
    assert ours.dice > plain.dice
