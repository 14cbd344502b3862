"""The terminology that ships is the one that the table of levels says, and Slicer can read it."""

from __future__ import annotations

import importlib.util
import json

import pytest
from paths import ROOT

from SpinalTapLib.spine import levels
from SpinalTapLib.spine.segments import TERMINOLOGY

FILE = ROOT / "Resources" / "Terminology" / "SpinalTap.term.json"


def _maker():
    spec = importlib.util.spec_from_file_location("make_terminology", ROOT / "docs" / "make_terminology.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _types():
    category = json.loads(FILE.read_text(encoding="utf-8"))["SegmentationCodes"]["Category"]
    assert len(category) == 1
    return category[0]["Type"]


def test_file_is_what_the_script_writes_from_the_table_of_levels():
    assert FILE.read_text(encoding="utf-8") == _maker().text(), "run: python docs/make_terminology.py"


def test_every_level_finds_its_code_and_with_a_code_of_its_own_its_name_and_colour():
    by_code = {entry["CodeValue"]: entry for entry in _types()}
    for level in levels.LEVELS:
        entry = by_code[level.code]
        if level.code != levels.GENERIC_VERTEBRA_CODE:
            assert entry["CodeMeaning"] == level.meaning
            assert tuple(entry["recommendedDisplayRGBValue"]) == level.colour
    assert {levels.DISC_CODE, levels.CANAL_CODE} <= set(by_code)


def test_no_code_stands_twice_so_that_a_lookup_by_code_is_never_a_guess():
    codes = [entry["CodeValue"] for entry in _types()]
    assert len(codes) == len(set(codes))


def test_slicers_own_terminology_logic_reads_every_entry():
    slicer = pytest.importorskip("slicer", reason="needs the MRML libraries of Slicer (slicer-core)")
    logic = slicer.vtkSlicerTerminologiesModuleLogic()
    name = logic.LoadTerminologyFromFile(str(FILE))
    assert name == TERMINOLOGY
    category = slicer.vtkSlicerTerminologyCategory()
    assert logic.GetNthCategoryInTerminology(name, 0, category)
    assert logic.GetNumberOfTypesInTerminologyCategory(name, category) == len(_types())
    found = slicer.vtkSlicerTerminologyType()
    for position, expected in enumerate(_types()):
        assert logic.GetNthTypeInTerminologyCategory(name, category, position, found)
        assert found.GetCodeValue() == expected["CodeValue"]
        assert found.GetSlicerLabel() == expected["3dSlicerLabel"]
        assert list(found.GetRecommendedDisplayRGBValue()) == expected["recommendedDisplayRGBValue"]
