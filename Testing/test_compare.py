"""compare: two result folders give a table, a CSV and a picture."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_series import write_series
from paths import ROOT
from PIL import Image
from spines_by_hand import column, painted, spine_of

from SpinalTapLib.cli.main import main
from SpinalTapLib.files.result_names import JSON_NAME, LABEL_MAP_NAME
from SpinalTapLib.files.spine_json import spine_json
from SpinalTapLib.spine.measurements import measure_spine

PICTURES = Path(os.environ.get("SPINALTAP_PICTURES", ROOT / "build" / "pictures"))


def result(folder, lost_mm=0.0, scan=None, names=("S1", "L5", "L4", "L3", "L2", "L1", "T12")):
    """Write as much of a result folder as the comparison reads; L1 has lost some of its anterior height."""
    bodies = column(names)
    volume, labels = painted(bodies)
    for i, body in enumerate(bodies):
        if body.level == "L1":
            corners = body.corners_lps_mm - np.array([(0, 0, lost_mm), (0, 0, 0), (0, 0, 0), (0, 0, 0)])
            bodies = (*bodies[:i], replace(body, corners_lps_mm=corners), *bodies[i + 1 :])
    spine = measure_spine(spine_of(bodies, labels), volume.matrix)
    folder.mkdir()
    image = volume.to_source(labels)
    sitk.WriteImage(image, str(folder / LABEL_MAP_NAME))
    source = {"path": str(scan)} if scan else {}
    (folder / JSON_NAME).write_text(spine_json(spine, volume, source))
    return folder


def test_the_command_prints_a_table_and_writes_csv_and_picture(tmp_path, capsys):
    earlier, later = result(tmp_path / "2023"), result(tmp_path / "2026", lost_mm=9)
    assert main(["compare", str(earlier), str(later), "--output", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert "L1 has lost 35 % of its anterior height" in out and "moderate" in out
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out" / "changes.csv").read_text())))
    (row,) = (row for row in rows if (row["level"], row["measurement"]) == ("L1", "height_anterior_mm"))
    assert (row["earlier"], row["later"], row["change"]) == ("26.00", "17.00", "-9.00")
    assert row["verdict"] == "beyond the error"
    with Image.open(tmp_path / "out" / "changes.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
        PICTURES.mkdir(parents=True, exist_ok=True)
        picture.save(PICTURES / "changes.png")
    amber = np.abs(pixels - (240, 176, 60)).sum(-1) < 40
    assert amber.sum() > 300  # the bars of what is beyond the error


def test_without_an_output_nothing_is_written(tmp_path, capsys):
    earlier, later = result(tmp_path / "a"), result(tmp_path / "b")
    assert main(["compare", str(earlier), str(later)]) == 0
    assert "within the error" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


@pytest.mark.parametrize("kind", ["two patients", "the same folder", "no result"])
def test_what_cannot_be_compared_is_said_in_one_sentence(tmp_path, capsys, kind):
    scans = []
    for patient in ("7", "8"):
        write_series(tmp_path / patient, more={"0010|0020": patient})
        scans.append(tmp_path / patient)
    one = result(tmp_path / "one", scan=scans[0])
    other = {"two patients": tmp_path / "two", "the same folder": one, "no result": tmp_path / "7"}[kind]
    if kind == "two patients":
        result(other, scan=scans[1])
    assert main(["compare", str(one), str(other)]) == 2
    words = {"two patients": "'7' and '8'", "the same folder": "given twice", "no result": "not a SpinalTap result"}
    assert words[kind] in capsys.readouterr().err
