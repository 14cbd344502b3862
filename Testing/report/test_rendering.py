"""Pictures of surfaces, made without a screen, or left out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from paths import ROOT, SUPPORT
from vtkmodules.vtkFiltersSources import vtkSphereSource

from SpinalTapLib.report import rendering
from SpinalTapLib.report.rendering import can_render, render_surfaces


def ball(centre, radius=10.0):
    source = vtkSphereSource()
    source.SetCenter(*centre)
    source.SetRadius(radius)
    source.SetThetaResolution(40)
    source.SetPhiResolution(40)
    source.Update()
    return source.GetOutput()


@pytest.fixture
def able():
    if not can_render():
        pytest.skip("this machine cannot render: neither a screen, EGL nor OSMesa")


def where(picture, channel):
    """Return the middle (row, column) of the pixels where one channel stands out."""
    others = [c for c in range(3) if c != channel]
    mask = picture[..., channel].astype(int) > picture[..., others].max(-1).astype(int) + 60
    assert mask.any()
    return np.argwhere(mask).mean(0)


def test_the_head_is_up_and_the_patients_left_is_on_the_right_seen_from_the_front(able):
    parts = [(ball((0, 0, 60)), (255, 0, 0), ""), (ball((0, 0, 0)), (0, 255, 0), "")]
    parts.append((ball((30, 0, 0)), (0, 0, 255), ""))
    picture = render_surfaces(parts, (200, 300), azimuth_deg=0)
    assert picture.shape == (300, 200, 3) and picture.dtype == np.uint8
    red, green, blue = (where(picture, c) for c in range(3))
    assert red[0] < green[0] - 100, "superior is up"
    assert blue[1] > green[1] + 50, "the patient's left is on the viewer's right"


def test_from_the_patients_left_the_front_is_on_the_left(able):
    parts = [(ball((0, -20, 0)), (255, 0, 0), ""), (ball((0, 20, 0)), (0, 0, 255), "")]
    picture = render_surfaces(parts, (200, 200), azimuth_deg=90)
    assert where(picture, 0)[1] < where(picture, 2)[1]


def test_everything_is_in_the_picture_whatever_its_shape(able):
    column = [(ball((0, 0, 40.0 * i)), (200, 60, 60), "") for i in range(12)]
    for size in ((100, 500), (400, 200)):
        picture = render_surfaces(column, size)
        used = np.argwhere((picture < 250).any(-1))
        assert used.min() > 0 and (used.max(0) < np.array(picture.shape[:2]) - 1).all()
        assert np.ptp(used[:, 0]) > 0.85 * size[1]


def test_names_stand_beside_their_surfaces(able):
    parts = [(ball((0, 0, 0)), (230, 60, 60), ""), (ball((0, 0, 40)), (60, 60, 230), "")]
    plain = render_surfaces(parts, (240, 240))
    named = render_surfaces([(*part[:2], name) for part, name in zip(parts, ("L5", "L4"))], (240, 240))
    grey = lambda p: ((np.ptp(p, axis=-1) < 25) & (p.mean(-1) < 200)).sum()  # noqa: E731
    assert grey(named) > grey(plain) + 20


def test_the_same_scene_gives_the_same_picture(able):
    parts = [(ball((0, 0, 0)), (230, 60, 60), "L5")]
    assert (render_surfaces(parts, (80, 80)) == render_surfaces(parts, (80, 80))).all()


def test_no_picture_where_there_is_nothing_to_draw_or_no_way_to(monkeypatch):
    assert render_surfaces([]) is None
    monkeypatch.setattr(rendering, "window_kind", lambda: None)
    assert render_surfaces([(ball((0, 0, 0)), (1, 2, 3), "")]) is None


@pytest.mark.parametrize("display", [None, ":99"])
def test_nothing_is_said_on_stderr_where_there_is_no_screen(able, display):
    environment = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
    if display:
        environment["DISPLAY"] = display
    code = (
        "from test_rendering import ball\n"
        "from SpinalTapLib.report.rendering import render_surfaces\n"
        "assert render_surfaces([(ball((0, 0, 0)), (230, 60, 60), 'L5')], (40, 40)) is not None\n"
    )
    path = os.pathsep.join([str(Path(__file__).parent), str(SUPPORT), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
