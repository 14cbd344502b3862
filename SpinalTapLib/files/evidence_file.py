"""Store the detector's evidence in a result folder, so that `reseed` does not run the detector again."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..detection.detector import Detections
from ..detection.linking import Candidate
from ..detection.part_maps import SliceVertebra
from ..errors import ARRAY_DAMAGE, DAMAGE
from ..evidence import Evidence, from_steps, gather, to_steps
from ..scans.resampling import working_volume
from ..scans.volume import SagittalVolume
from ..spine.structures import N_STRUCTURES, with_all_structures
from ..spine.vertebra import CORNERS

EVIDENCE_NAME = "evidence.npz"
_BY_STRUCTURE = ("probabilities", "evidence", "part_evidence")  # second axis: classes of the mask
FORMAT = 1
"""File version; increased when older versions of the program could not read the file."""

_COMPRESSION = 1  # the masks are mostly 0 or 1: higher levels take five times as long for a tenth of the size


def evidence_bytes(evidence: Evidence) -> bytes:
    """Return the evidence as the content of an ``.npz`` file.

    The scan and the bodies are not stored: the scan is read again, and the bodies follow from the rest.
    """
    candidates = evidence.candidates
    members = _all_members(evidence)
    position = {id(member): i for i, member in enumerate(members)}
    chains = [[position[id(member)] for member in candidate.members] for candidate in candidates]
    texts = {
        "members": chains,
        "flags": [list(c.flags) for c in candidates],
        "structures": evidence.structures,
        "ignored": sorted(evidence.ignored),
    }
    arrays = {
        "format": np.array(FORMAT),
        "probabilities": to_steps(evidence.detections.probabilities),
        "scan_shape": np.array(evidence.volume.array.shape),
        "scan_matrix": evidence.volume.matrix,
        "part_slice": np.array([m.slice for m in members], int),
        "part_corners": np.array([m.corners for m in members], float).reshape(-1, 4, 2),
        "part_centroid": np.array([m.centroid for m in members], float).reshape(-1, 2),
        "part_score": np.array([m.score for m in members], float),
        "part_evidence": np.array([m.evidence for m in members], float).reshape(len(members), -1),
        "part_rebuilt": np.array([[name in m.rebuilt for name in CORNERS] for m in members], bool).reshape(-1, 4),
        "centroid": np.array([c.centroid_lps_mm for c in candidates], float).reshape(-1, 3),
        "corners": np.array([c.corners_lps_mm for c in candidates], float).reshape(-1, 4, 3),
        "mid_slice": np.array([c.mid_slice for c in candidates], int),
        "evidence": np.array([c.evidence for c in candidates], float).reshape(len(candidates), -1),
        "score": np.array([c.score for c in candidates], float),
        "raw_score": np.array([c.score if c.raw_score is None else c.raw_score for c in candidates], float),
        "texts": np.array(json.dumps(texts)),
    }
    if evidence.detections.homes is not None:
        arrays["homes"] = evidence.detections.homes
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=_COMPRESSION) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)
    return buffer.getvalue()


def _all_members(evidence: Evidence) -> list[SliceVertebra]:
    """Return the detections of all slices, followed by the vertebrae that the user added."""
    seen = list(evidence.detections.vertebrae)
    known = set(map(id, seen))
    return seen + [m for c in evidence.candidates for m in c.members if id(m) not in known]


def read_evidence(path: str | Path, volume: SagittalVolume, structures: str | None = None) -> Evidence:
    """Read evidence that belongs to a scan.

    Parameters
    ----------
    path : path
        An ``evidence.npz``.
    volume : SagittalVolume
        The scan, read again.
    structures : str, optional
        One of `options.STRUCTURES`, if other structures are wanted than before.

    Raises
    ------
    ValueError
        If the file is missing, damaged or of another version, or the scan is not the one that it was made from.
    """
    path = Path(path)
    stored = _stored(path)
    if np.any(stored.get("format") != np.array(FORMAT)):
        raise ValueError(f"{path} was written by another version of SpinalTap; segment the scan again.")
    try:
        working = working_volume(volume)
        is_of_scan = _is_of_scan(stored, volume, working)
        if is_of_scan:
            return _evidence(stored, volume, working, structures)
    except (*DAMAGE, RuntimeError, ArithmeticError) as error:
        raise ValueError(f"{path} is not complete, or damaged ({error}); segment the scan again.") from error
    raise ValueError(f"{path} was made from another scan than {volume.name}; give the scan that it was made from.")


def read_scores(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the candidates' centroids, shape (n, 3), LPS, mm, and detector scores, shape (n,), without the scan.

    Raises
    ------
    ValueError
        As `read_evidence`.
    """
    stored = _stored(Path(path))
    if "centroid" not in stored or "score" not in stored:
        raise ValueError(f"{path} is not complete; segment the scan again.")
    return stored["centroid"], stored.get("raw_score", stored["score"])


def _stored(path: Path) -> dict[str, Any]:
    """Return the arrays of an ``.npz`` file."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise ValueError(f"There is no {path.name} in {path.parent}; segment the scan again.") from None
    except ARRAY_DAMAGE as error:
        raise ValueError(f"{path} is damaged; segment the scan again.") from error


def _is_of_scan(stored: dict[str, Any], volume: SagittalVolume, working: SagittalVolume) -> bool:
    """Return whether the stored arrays belong to a scan."""
    probabilities = stored["probabilities"]
    shape = (len(probabilities), *probabilities.shape[2:])
    same_grid = tuple(stored["scan_shape"]) == volume.array.shape and shape == working.array.shape
    return same_grid and np.allclose(stored["scan_matrix"], volume.matrix, atol=1e-3)


def _check(stored: dict[str, Any], texts: dict[str, Any], working: SagittalVolume) -> None:
    """Raise ValueError unless the arrays have the right shapes and every number that is a position is one."""
    slices, parts, found = len(stored["probabilities"]), len(stored["part_slice"]), len(texts["members"])
    shapes = {
        "part_slice": (parts,), "part_corners": (parts, 4, 2), "part_centroid": (parts, 2), "part_score": (parts,),
        "part_evidence": (parts, N_STRUCTURES), "part_rebuilt": (parts, 4), "centroid": (found, 3),
        "corners": (found, 4, 3), "mid_slice": (found,), "evidence": (found, N_STRUCTURES), "score": (found,),
    }  # fmt: skip
    for name, shape in shapes.items():
        if stored[name].shape != shape or stored[name].dtype.kind not in "biuf" or not np.isfinite(stored[name]).all():
            raise ValueError(f"{name} is not an array of {shape} finite numbers")
    size = np.array(working.array.shape, float)
    for name, places, most in (
        ("part_corners", stored["part_corners"], size[1:]),
        ("part_centroid", stored["part_centroid"], size[1:]),
        ("corners", working.to_index(stored["corners"]), size),
        ("centroid", working.to_index(stored["centroid"]), size),
    ):
        if (places < -most).any() or (places > 2 * most).any():  # bodies may reach a little over the edge
            raise ValueError(f"{name} has a place far outside the scan")
    if stored["probabilities"].dtype != np.uint8:
        raise ValueError("probabilities are not bytes")
    for name, values, end in (
        ("part_slice", stored["part_slice"], slices),
        ("mid_slice", stored["mid_slice"], slices),
        ("members", [i for chain in texts["members"] for i in chain], parts),
        ("ignored", texts.get("ignored", ()), found),
    ):
        if any(not 0 <= value < end for value in values):
            raise ValueError(f"{name} has a number that is not below {end}")
    if len(texts["flags"]) != found or not all(isinstance(flag, str) for flags in texts["flags"] for flag in flags):
        raise ValueError("flags are not texts")


def _evidence(
    stored: dict[str, Any], volume: SagittalVolume, working: SagittalVolume, structures: str | None
) -> Evidence:
    """Combine the stored arrays with the scan."""
    stored = {**stored, **{name: with_all_structures(stored[name], 1) for name in _BY_STRUCTURE}}
    probabilities = stored["probabilities"]
    texts = json.loads(str(stored["texts"]))
    _check(stored, texts, working)
    members = tuple(_members(stored))
    chosen = [tuple(members[i] for i in chain) for chain in texts["members"]]
    candidates = tuple(
        Candidate(
            members=chain,
            centroid_lps_mm=stored["centroid"][i],
            corners_lps_mm=stored["corners"][i],
            mid_slice=int(stored["mid_slice"][i]),
            evidence=stored["evidence"][i],
            score=float(stored["score"][i]),
            flags=tuple(texts["flags"][i]),
            slices=tuple(member.slice for member in chain),
            raw_score=float(stored["raw_score"][i]) if "raw_score" in stored else None,
        )
        for i, chain in enumerate(chosen)
    )
    detections = Detections(working, members, from_steps(probabilities), stored.get("homes"))
    evidence = gather(volume, detections, candidates, structures or str(texts["structures"]))
    return replace(evidence, ignored=frozenset(texts.get("ignored", ())))


def _members(stored: dict[str, Any]) -> list[SliceVertebra]:
    return [
        SliceVertebra(
            slice=int(stored["part_slice"][i]),
            corners=stored["part_corners"][i],
            centroid=stored["part_centroid"][i],
            score=float(stored["part_score"][i]),
            evidence=stored["part_evidence"][i],
            rebuilt=tuple(name for name, missing in zip(CORNERS, stored["part_rebuilt"][i]) if missing),
        )
        for i in range(len(stored["part_slice"]))
    ]
