"""BIDS data sets in, BIDS derivatives out."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from batch_stand_in import Here, spine_content

from SpinalTapLib.batch.bids import begin_derivative, derived_name, label_table
from SpinalTapLib.batch.engines import with_function
from SpinalTapLib.batch.run import Plan, run_jobs
from SpinalTapLib.batch.scans_in_folder import find_scans
from SpinalTapLib.batch.state import State
from SpinalTapLib.batch.tables import write_tables
from SpinalTapLib.files.atomic import staged_folder
from SpinalTapLib.options import Options

IMAGES = (
    "sub-01/ses-1/anat/sub-01_ses-1_run-1_T1w.nii.gz", "sub-01/ses-1/anat/sub-01_ses-1_run-2_T1w.nii.gz",
    "sub-01/ses-2/anat/sub-01_ses-2_acq-sag_T2w.nii.gz", "sub-02/anat/sub-02_T2w.nii",
)  # fmt: skip
OTHERS = ("sub-02/anat/sub-02_PDw.nii.gz", "derivatives/x/sub-02/anat/sub-02_T2w.nii.gz", "sub-02/dwi/sub-02_dwi.nii")


@pytest.fixture
def data_set(tmp_path):
    folder = tmp_path / "raw"
    for name in (*IMAGES, *OTHERS):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    (folder / "dataset_description.json").write_text(json.dumps({"Name": "x", "BIDSVersion": "1.8.0"}))
    return folder


def segment(path, folder, *, extra, **_):
    """Write a result with a label map."""
    labels = np.zeros((4, 6, 5), np.uint8)
    labels[1, 2], labels[2, 4] = 24, 26
    with staged_folder(folder) as stage:
        sitk.WriteImage(sitk.GetImageFromArray(labels), str(stage / "vertebrae.nii.gz"))
        (stage / "spine.json").write_text(json.dumps(spine_content()))
        for name, content in extra.items():
            (stage / name).write_bytes(content)
    return type("Spine", (), {"vertebrae": (1, 2)})


def run(data_set, output):
    jobs = Plan(output, Options()).jobs(find_scans(data_set, output))
    rows = [row for row in run_jobs(jobs, Here(work=with_function(segment))) if row is not None]
    write_tables(output)
    return rows


def test_the_anatomical_images_are_found_by_their_suffix(data_set):
    found = find_scans(data_set)
    assert [str(scan.path.relative_to(data_set)) for scan in found.scans] == list(IMAGES)
    assert found.scans[0].name == "results/sub-01/ses-1/anat/sub-01_ses-1_run-1_T1w"
    assert found.left_out == {"PDw": 1}
    assert [scan.path.name for scan in find_scans(data_set, None, ["PDw"]).scans] == ["sub-02_PDw.nii.gz"]
    with pytest.raises(ValueError, match="no image with the suffix FLAIR; it has PDw, T1w, T2w"):
        find_scans(data_set, None, ["FLAIR"])


def test_a_suffix_needs_a_data_set(tmp_path):
    with pytest.raises(ValueError, match="not a BIDS data set"):
        find_scans(tmp_path, None, ["T1w"])


def test_the_derivative_has_label_map_table_and_sidecar_of_every_image(data_set, tmp_path):
    output = data_set / "derivatives" / "spinaltap"
    assert [row.outcome for row in run(data_set, output)] == ["done"] * 4
    place = output / "sub-01" / "ses-2" / "anat" / "sub-01_ses-2_acq-sag_desc-T2w_dseg"
    table = place.with_suffix(".tsv").read_text().splitlines()
    assert [line.split("\t")[:2] for line in table] == [["index", "name"], ["26", "S1"], ["24", "L5"]]
    about = json.loads(place.with_suffix(".json").read_text())
    assert about["Sources"] == ["bids:raw:sub-01/ses-2/anat/sub-01_ses-2_acq-sag_T2w.nii.gz"]
    description = json.loads((output / "dataset_description.json").read_text())
    assert description["DatasetType"] == "derivative" and description["DatasetLinks"]["raw"] == data_set.as_uri()
    image, source = place.with_suffix(".nii.gz"), output / "results/sub-01/ses-2/anat/sub-01_ses-2_acq-sag_T2w"
    assert image.read_bytes() == (source / "vertebrae.nii.gz").read_bytes()
    assert len(find_scans(data_set, output).scans) == 4


def test_the_derived_files_go_with_the_result(data_set, tmp_path):
    output = tmp_path / "out"
    run(data_set, output)
    mine = output / "sub-02" / "anat" / "sub-02_desc-manual_dseg.nii.gz"
    mine.write_bytes(b"drawn by hand")
    folder = output / "results" / "sub-02" / "anat" / "sub-02_T2w"
    State("scan", "failed", message="It is damaged.").write(folder)
    write_tables(output)
    assert sorted(path.name for path in mine.parent.iterdir()) == [mine.name]


def test_another_data_set_is_not_replaced(data_set):
    with pytest.raises(ValueError, match=r"another BIDS data set.*derivatives"):
        begin_derivative(data_set, data_set)


def test_entities_that_a_derivative_must_not_have_go_into_its_description():
    name = derived_name("results/sub-1/anat/sub-1_acq-a_inv-2_mt-on_MTR")
    assert name == "sub-1/anat/sub-1_acq-a_desc-MTRInv2Mton_dseg"


def test_a_label_table_lists_what_is_there():
    table = label_table(np.array([[0, 60], [101, 223]])).decode().splitlines()
    assert [line.split("\t")[0] for line in table] == ["index", "101", "223", "60"]


def validator() -> list[str] | None:
    """Return the command of the official BIDS validator, or of the one that BIDS_VALIDATOR names.

    The one on npm (1.15) is older, and takes no derived file for valid.
    """
    places = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    found = shutil.which(os.environ.get("BIDS_VALIDATOR", "bids-validator-deno"), path=places)
    return [found] if found else None


@pytest.mark.skipif(validator() is None, reason="needs the BIDS validator: pip install bids-validator-deno")
def test_the_official_validator_accepts_the_derivative(data_set, tmp_path):
    output = tmp_path / "out"
    run(data_set, output)
    done = subprocess.run([*validator(), str(output), "--json"], capture_output=True, text=True, timeout=600)
    issues = json.loads(done.stdout)["issues"]
    errors = issues["errors"] if "errors" in issues else [i for i in issues["issues"] if i["severity"] == "error"]
    assert not errors, errors
