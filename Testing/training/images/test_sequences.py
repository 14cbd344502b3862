"""Kinds of sequence: one table that training, phantoms and the command line agree with."""

from dataclasses import fields

import pytest

from SpinalTapLib.training.config import AppearanceConfig, config_from_dict, load_config
from SpinalTapLib.training.images.contrast import draw_contrast
from SpinalTapLib.training.images.random_numbers import Chance
from SpinalTapLib.training.images.sequences import IN_PHANTOMS, KINDS, LADDER_WEIGHTS, SEQUENCES, only


def test_each_kind_is_a_setting_of_the_training_config_with_its_own_default():
    assert [field.name for field in fields(AppearanceConfig)][: len(KINDS)] == list(KINDS)
    assert AppearanceConfig().kind_weights == [kind.parts_weight for kind in SEQUENCES]
    assert config_from_dict({"appearance": {"t2star": 0.5}}).appearance.t2star == 0.5


def test_a_config_file_names_kinds_as_before(tmp_path):
    (tmp_path / "old.json").write_text('{"appearance": {"t1": 0.5, "random": 0.0, "gibbs": 0.1}}', encoding="utf-8")
    appearance = load_config(tmp_path / "old.json").appearance
    assert (appearance.t1, appearance.random, appearance.gibbs, appearance.t2) == (0.5, 0.0, 0.1, 0.28)
    assert list(load_config("parts").as_dict()["appearance"])[:2] == ["t1", "t2"]


def test_every_kind_has_a_weight_for_the_ladder():
    assert len(LADDER_WEIGHTS) == len(KINDS) and min(LADDER_WEIGHTS) > 0
    assert sum(LADDER_WEIGHTS) == pytest.approx(1)


def test_a_weight_too_few_is_refused_instead_of_leaving_a_kind_out():
    with pytest.raises(ValueError, match="One weight is needed for each of the sequences t1"):
        draw_contrast([1.0] * (len(KINDS) - 1), Chance(0), 1)


def test_only_the_named_kinds_have_a_weight():
    assert only(t2=0.7) == {name: 0.7 * (name == "t2") for name in KINDS}
    with pytest.raises(ValueError, match="no sequence called 't9'"):
        only(t9=1)


def test_phantoms_show_what_clinics_scan():
    assert IN_PHANTOMS == ("t1", "t2", "stir")
