"""Options: one type and one range for library, command line and panel."""

from xml.etree import ElementTree

import pytest

import SpinalTapLib
from SpinalTapLib import pipeline
from SpinalTapLib.options import MAX_STEPS, Options
from SpinalTapLib.resources import resource_path


def test_every_door_has_the_same_options():
    assert SpinalTapLib.Options is Options
    assert pipeline.Options is Options


@pytest.mark.parametrize("steps", [None, 0, MAX_STEPS])
def test_steps_in_range_are_taken(steps):
    assert Options(steps=steps).steps == steps


@pytest.mark.parametrize("steps", [-1, MAX_STEPS + 1])
def test_steps_out_of_range_are_refused_with_the_range(steps):
    with pytest.raises(ValueError, match=f"between 0 and {MAX_STEPS}; got {steps}"):
        Options(steps=steps)


@pytest.mark.parametrize("name", ["method", "device", "structures"])
def test_an_unknown_choice_is_refused_with_those_there_are(name):
    with pytest.raises(ValueError, match=f"There is no {name} 'other'; use one of "):
        Options(**{name: "other"})


def test_the_panel_offers_no_more_steps_than_the_library_takes():
    form = ElementTree.parse(resource_path("UI", "SpinalTap.ui"))
    maximum = form.find(".//widget[@name='stepsSpinBox']/property[@name='maximum']/number")
    assert int(maximum.text) == MAX_STEPS
