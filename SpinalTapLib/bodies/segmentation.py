"""Segment bodies, arches, discs and canal: a solid for each, and the label map on the scan's grid."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from ..detection.part_maps import Candidate, Detections
from ..machine import in_threads
from ..options import STRUCTURES
from ..scans.volume import SagittalVolume
from ..spine import levels
from ..spine.canal_sections import CanalSections
from ..spine.confidence import WORDS, word
from ..spine.notes import Note
from ..spine.structures import Structure
from .arches import separate_arches, whole, without_root
from .discs_and_canal import canal_of, disc_outlines
from .outlines import Outline, body_outlines
from .pieces import largest_piece
from .solids import TOLERANCES_MM, Solid, solid_of

IRREGULAR = 0.85
"""Highest confidence of the outline of a body that is not regular: not "sure"."""
_PLANE_MM = 1.0
"""Distance of the planes at which thick voxels are sampled."""
_THRESHOLDS = (0.4, 0.6)
"""Range of the filled fraction from which a voxel counts as inside; it moves a border by a tenth of a pixel at most."""

WIDTH_TO_DEPTH = 1.2
"""Usual width of a body over its depth: from 1.0 at T7 to 1.4 at L5 (Panjabi et al., Spine 1991;16:861-869 and
1992;17:299-306)."""


class Part(NamedTuple):
    """What a solid is: a `Structure` (`BODY` for every body), and the position of its candidate.

    A disc is that above its candidate; the canal has position 0.
    """

    kind: Structure
    candidate: int


@dataclass(frozen=True, eq=False)
class Bodies:
    """The shape of every structure, without names: it does not depend on the count of the levels.

    Attributes
    ----------
    index : ndarray of uint16, shape (slice, row, column)
        On the volume's grid: 0, or 1 + position of the structure in `solids`.
    solids : tuple of Solid or None
        The body of each of the `count` candidates, from the bottom up; then, if requested, the disc above each of
        them, the canal, and the arch of each, with its root in the body. None where nothing was found.
    parts : tuple of Part
        What each of the `solids` is.
    flags : tuple of tuple of str
        Notes on each candidate's body, in plain English.
    count : int
        Number of candidates.
    at_sides : int
        Number of candidates that reach the first or the last slice of the stack.
    outline_confidence : tuple of float
        For each candidate, 0-1: how far its body agrees with the mask; see `outline_confidence`.
    canal : CanalSections or None
        Cross-sections of the canal, if it was requested and found.
    """

    index: np.ndarray
    solids: tuple[Solid | None, ...]
    parts: tuple[Part, ...]
    flags: tuple[tuple[str, ...], ...]
    count: int
    at_sides: int = 0
    outline_confidence: tuple[float, ...] = ()
    canal: CanalSections | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """A sentence on bodies that are cut at their sides, which holds for all of them."""
        if self.at_sides == 0:
            return ()
        which = "All" if self.at_sides == self.count else f"{self.at_sides} of {self.count}"
        return (f"{which} vertebrae reach the outermost slices: their widths and volumes are too small.",)

    def position(self, kind: Structure, candidate: int = 0) -> int | None:
        """Return the position of a part in `solids`, or None if it was not requested."""
        part = Part(kind, candidate)
        return self.parts.index(part) if part in self.parts else None

    def shape(self, position: int) -> Solid | None:
        """Return a solid as it is shown: an arch ends at the wall of its body."""
        solid, part = self.solids[position], self.parts[position]
        body = self.solids[part.candidate]
        if part.kind != Structure.ARCH or solid is None or body is None:
            return solid
        return without_root(solid, body)

    def whole(self, candidate: int) -> Solid | None:
        """Return a candidate's body and arch as one solid, or None if one of them was not found or not requested."""
        position = self.position(Structure.ARCH, candidate)
        body, arch = self.solids[candidate], None if position is None else self.solids[position]
        return None if body is None or arch is None else whole(body, arch)

    def values(self, values: Sequence[int]) -> tuple[int, ...]:
        """Return the label value of every structure in `solids`, 0 for those that are left out.

        Parameters
        ----------
        values : sequence of int
            Each candidate's label value, from the bottom up; 0 leaves out the candidate with its arch and the discs
            next to it.

        Raises
        ------
        ValueError
            If there are not as many values as candidates.
        """
        if len(values) != self.count:
            raise ValueError(f"{self.count} bodies need {self.count} label values; got {len(values)}.")
        return tuple(_value(part, values) for part in self.parts)

    def label_map(self, values: Sequence[int]) -> np.ndarray:
        """Return the label map, uint16, (slice, row, column), on the volume's grid, by a table look-up.

        Parameters and errors are those of `values`.
        """
        return np.array((0, *self.values(values)), np.uint16)[self.index]


def _value(part: Part, values: Sequence[int]) -> int:
    """Return the label value of a part, given those of the candidates; 0 if it is left out."""
    if part.kind == Structure.CANAL:
        return levels.CANAL_VALUE
    own = int(values[part.candidate])
    if part.kind == Structure.DISC:
        upper = part.candidate + 1
        above = int(values[upper]) if upper < len(values) else levels.value_above(own)
        return levels.disc_value(above) if own and above else 0
    return levels.arch_value(own) if own and part.kind == Structure.ARCH else own


def separate_bodies(
    detections: Detections, candidates: Sequence[Candidate], volume: SagittalVolume, structures: str = "bodies"
) -> Bodies:
    """Create the solid of every candidate, and assign every voxel of the volume to a structure.

    Parameters
    ----------
    detections : Detections
        Mask probabilities of the working volume.
    candidates : sequence of part_maps.Candidate
        Vertebrae in 3-D, from the bottom up; `members` holds their corners in each working slice.
    volume : SagittalVolume
        The scan; its grid is that of `Bodies.index`.
    structures : str
        One of `options.STRUCTURES`.

    Returns
    -------
    Bodies
        Each body is one piece without holes, with a regular surface where the mask allows it. There are no arches if
        the network does not predict them (`Detections.has_arches`).

    Raises
    ------
    ValueError
        If `structures` is not one of `options.STRUCTURES`.
    """
    if structures not in STRUCTURES:
        raise ValueError(f"There are no structures {structures!r} to segment; use one of {', '.join(STRUCTURES)}.")
    working = detections.working
    outlines = body_outlines(detections.probabilities, candidates, working.spacing_mm)
    solids = list(in_threads(lambda o: None if o is None else solid_of(o, working.matrix), outlines))
    canal = None
    flags = [() if o is None else o.flags for o in outlines]
    insides = [None if s is None else _inside(s, working) for s in solids]
    flags = [(*f, *_flags_of(inside, working)) for f, inside in zip(flags, insides)]
    at_sides = sum(inside is not None and _reaches_side(inside, working) for inside in insides)
    confidence = tuple(in_threads(lambda pair: outline_confidence(pair[0], pair[1], working), zip(outlines, solids)))
    flags = [(*f, Note.OUTLINE_UNSURE) if c and word(c) != WORDS[0] else f for f, c in zip(flags, confidence)]
    count = len(candidates)
    parts = [Part(Structure.BODY, j) for j in range(count)]
    if structures == "all":
        discs = disc_outlines(detections.probabilities, candidates, working.spacing_mm)
        # A disc is thinner than the ball that measures how regular a body is.
        as_measured = TOLERANCES_MM[:1]
        solids += in_threads(lambda o: None if o is None else solid_of(o, working.matrix, as_measured), discs)
        canal = canal_of(detections.probabilities, candidates, working.matrix)
        solids.append(None if canal is None else canal.solid)
        parts += [*(Part(Structure.DISC, j) for j in range(count)), Part(Structure.CANAL, 0)]
    in_pieces = range(2 * count, len(solids))  # a long artefact may interrupt the canal
    index = _index_map(solids, volume, in_pieces)
    if structures in ("vertebrae", "all") and detections.has_arches:
        arches = separate_arches(detections, candidates, outlines)
        solids += [arch.solid for arch in arches]
        parts += [Part(Structure.ARCH, j) for j in range(count)]
        flags = [(*f, *arch.flags) for f, arch in zip(flags, arches)]
        _add_arches(index, solids, parts, volume)
    sections = None if canal is None else canal.sections
    return Bodies(index, tuple(solids), tuple(parts), tuple(flags), count, at_sides, confidence, sections)


def _add_arches(
    index: np.ndarray, solids: Sequence[Solid | None], parts: Sequence[Part], volume: SagittalVolume
) -> None:
    """Write the arches into the index map, in place, where it has no other structure."""
    free = index == 0
    most = np.zeros(index.shape, np.float16)
    arches = (solid if part.kind == Structure.ARCH else None for solid, part in zip(solids, parts))
    for position, (box, share, least) in _filled(arches, volume):
        mine = free[box] & (share >= least) & (share > most[box])
        index[box][mine] = position + 1
        most[box] = np.where(mine, share, most[box])


def outline_confidence(outline: Outline | None, solid: Solid | None, working: SagittalVolume) -> float:
    """Return how far a body's outline can be trusted, 0-1; 0 without a body.

    It is the Dice coefficient of the body and the mask's probabilities before they were repaired: it falls with every
    part that was repaired, and with every point of which the mask is uncertain. A body that is not regular (see
    `regularity`) has `IRREGULAR` at most.
    """
    if outline is None or solid is None or outline.evidence is None:
        return 0.0
    first = outline.window.first
    seen = slice(max(-first, 0), len(working.array) - first)
    matrix = working.matrix.copy()
    matrix[:3, 3] += matrix[:3, :3] @ [first + seen.start, *outline.window.corner]
    evidence = outline.evidence[seen]
    body = np.clip(solid.sample(matrix, evidence.shape) / float(working.spacing_mm[1]) + 0.5, 0, 1)
    agreement = float(2 * np.minimum(body, evidence).sum() / max(float(body.sum() + evidence.sum()), 1e-6))
    return round(agreement if solid.regular else min(agreement, IRREGULAR), 3)


def _flags_of(inside: np.ndarray | None, working: SagittalVolume) -> tuple[str, ...]:
    if inside is None:
        return (Note.NOT_OUTLINED,)
    edge = np.array(working.array.shape) - 1
    # A body that ends within half a voxel of the outermost voxel centres is cut there.
    in_plane = (inside[:, 1:].min(0) < 0.5).any() or (inside[:, 1:].max(0) > edge[1:] - 0.5).any()
    notes = {Note.CUT: in_plane, Note.SIDES_CUT: _lacks_a_third(inside, working)}
    return tuple(note for note, present in notes.items() if present)


def _inside(solid: Solid, working: SagittalVolume) -> np.ndarray:
    """Return the points of a solid's grid that lie inside it, (slice, row, column) of the working volume, (n, 3)."""
    change = np.linalg.inv(working.matrix) @ solid.matrix
    return np.argwhere(solid.field > 0) @ change[:3, :3].T + change[:3, 3]


def _reaches_side(inside: np.ndarray, working: SagittalVolume) -> bool:
    """Return whether a body is about as large in the volume's first or last slice as in its largest slice.

    One that is smaller there may just end in that slice.
    """
    last = len(working.array) - 1
    counts = np.bincount(np.clip(np.round(inside[:, 0]), 0, last).astype(int), minlength=last + 1)
    return last > 0 and bool(max(counts[0], counts[-1]) > 0.6 * counts.max())


def _lacks_a_third(inside: np.ndarray, working: SagittalVolume) -> bool:
    """Return whether so much of a body lies beside the stack that two thirds of its width, or less, are in it."""
    if not _reaches_side(inside, working):
        return False
    slice_mm, _, column_mm = working.spacing_mm
    width = min(np.ptp(inside[:, 0]) * slice_mm, len(working.array) * slice_mm)
    return bool(width < 2 / 3 * WIDTH_TO_DEPTH * np.ptp(inside[:, 2]) * column_mm)


def _index_map(solids: Sequence[Solid | None], volume: SagittalVolume, in_pieces: Collection[int] = ()) -> np.ndarray:
    """Return, for every voxel, 1 + position of its solid, or 0; solids other than `in_pieces` are kept in one piece."""
    shape = volume.array.shape
    out = np.zeros(shape, np.uint16)
    for position, (box, share, least) in _filled(solids, volume):
        mine = share >= least
        for other in np.unique(out[box][mine]):
            rival = solids[other - 1] if other else None
            if rival is not None:
                mine &= (out[box] != other) | (share > _share(rival, volume, box))
        out[box][mine] = position + 1
    for position, solid in enumerate(solids):
        if solid is not None and position not in in_pieces:
            _keep_one_piece(out[solid.bounds(volume.matrix, shape)], position + 1)
    return out


def _filled(
    solids: Iterable[Solid | None], volume: SagittalVolume
) -> Iterator[tuple[int, tuple[tuple[slice, ...], np.ndarray, float]]]:
    """Yield, for each solid, its position, and its box, the filled fractions and the `_threshold` there."""

    def filled(solid: Solid) -> tuple[tuple[slice, ...], np.ndarray, float]:
        box = solid.bounds(volume.matrix, volume.array.shape)
        share = _share(solid, volume, box)
        return box, share, _threshold(share, solid.volume_mm3 / float(np.prod(volume.spacing_mm)))

    known = [(position, solid) for position, solid in enumerate(solids) if solid is not None]
    return zip([position for position, _ in known], in_threads(filled, [solid for _, solid in known]))


def _share(solid: Solid, volume: SagittalVolume, box: tuple[slice, ...]) -> np.ndarray:
    """Return the fraction of each voxel, in a box of the volume's grid, that a solid fills."""
    shape = tuple(s.stop - s.start for s in box)
    slice_mm, pixel_mm = float(volume.spacing_mm[0]), float(volume.spacing_mm[1:].mean())
    planes = max(1, round(slice_mm / _PLANE_MM))
    out = np.zeros(shape, np.float32)
    for offset in (np.arange(planes) + 0.5) / planes - 0.5:
        matrix = volume.matrix.copy()
        matrix[:3, 3] += matrix[:3, :3] @ [box[0].start + offset, box[1].start, box[2].start]
        out += np.clip(solid.sample(matrix, shape) / pixel_mm + 0.5, 0, 1)
    return out / planes


def _threshold(share: np.ndarray, voxels: float) -> float:
    """Return the fraction from which a voxel belongs to the solid: about a half, chosen to preserve the volume."""
    rank = int(np.clip(round(voxels), 1, share.size))
    return float(np.clip(np.partition(share.ravel(), -rank)[-rank], *_THRESHOLDS)) if share.size else 1.0


def _keep_one_piece(part: np.ndarray, label: int) -> None:
    """Reduce a label to its largest connected component, without holes, in a part of the index map (in place)."""
    inside = part == label
    piece = largest_piece(inside)
    if piece is not None:
        part[inside & ~piece] = 0
        part[ndimage.binary_fill_holes(piece) & (part == 0)] = label
