"""Draw synthetic tiles beside real slices, to compare them by eye."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch

from ...detection.tiling import normalise_tiles
from ..config import AppearanceConfig, PlacementConfig, TrainConfig
from ..images.sequences import only
from ..synthetic.drawing import Canvas
from ..synthetic.random_spine import random_spine
from ..tiles.canvases import canvas_at
from ..tiles.dataset import TileStream
from ..tiles.tiles import Tiles

_REAL_HEIGHT_MM = 300.0  # a lumbar field of view, assumed for pictures without a scale
_GAP_PX = 6
_SHOWN = (-1.6, 3.2)  # z-scores shown as black and white


def write_contact_sheet(
    path: str | Path,
    config: TrainConfig,
    real_folder: str | Path | None = None,
    count: int = 32,
    seed: int = 0,
    columns: int = 4,
    lumbar: bool = False,
) -> Path:
    """Write a PNG with synthetic tiles on the left and tiles of real slices on the right.

    Parameters
    ----------
    path : path
        The PNG to write.
    config : TrainConfig
        Settings of the synthetic tiles.
    real_folder : path, optional
        Folder with upright real slices (PNG, anterior left, taken as 300 mm tall); None draws synthetic tiles only.
    count : int
        Tiles of each kind.
    seed : int
        Seed of both.
    columns : int
        Tiles per row in each half.
    lumbar : bool
        Draw the synthetic tiles like the real slices: through the middle of lumbar spines, T1 and T2, without the
        contrasts, scales and distortions that training exaggerates.

    Raises
    ------
    ValueError
        If the folder has no PNG, or the picture cannot be written.
    """
    rng = np.random.default_rng(seed)
    halves = [_grid(synthetic_tiles(config, count, seed, lumbar), columns)]
    if real_folder is not None:
        halves.append(_grid(real_tiles(Path(real_folder), count, rng, config.placement.tile_px), columns))
        halves.insert(1, np.full((len(halves[0]), 4 * _GAP_PX), 255, np.uint8))
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(sitk.GetImageFromArray(np.concatenate(halves, 1)), str(target))
    except (OSError, RuntimeError) as error:
        raise ValueError(f"Could not write the contact sheet {target}.") from error
    return target


def synthetic_tiles(config: TrainConfig, count: int, seed: int, lumbar: bool = False) -> list[np.ndarray]:
    """Return normalised synthetic tiles, each (side, side); see `write_contact_sheet`."""
    config = replace(_as_scanned(config) if lumbar else config, batch=min(config.batch, count), workers=0)
    stream = iter(TileStream(config, stream=1000 + seed, source=_lumbar_planes if lumbar else None))
    images: list[np.ndarray] = []
    while len(images) < count:
        tiles = next(stream)
        assert isinstance(tiles, Tiles)  # `TileStream` yields tiles by default
        images += list(tiles.image[:, 0].numpy())
    return images[:count]


def _lumbar_planes(rng: np.random.Generator) -> Iterator[Canvas]:
    """Yield slices through the middle of random spines, one of each."""
    while True:
        spine = random_spine(rng)
        body = spine.vertebrae[int(rng.integers(1, 5))]
        yield canvas_at(spine, body.centre + [rng.normal(0, 2), 0, 0], float(rng.uniform(3.5, 5)))


def _as_scanned(config: TrainConfig) -> TrainConfig:
    """Return the config without the exaggerations of training, and with tiles at the lowest vertebrae."""
    tile = config.placement.tile_px
    placement = PlacementConfig(
        tile, near_sacrum=1, near_dens=0, along_spine=0, jitter_mm=12, scale_sd=0.05, wide_scale=0,
        rotation_sd_deg=4, wide_rotation=0, shear_sd=0, elastic_px=1.5,
    )  # fmt: skip
    appearance = AppearanceConfig(
        **only(t1=0.5, t2=0.5), inversion=0, border=0, seam=0, zipper=0, wrap=0, saturation_band=0.8,
    )  # fmt: skip
    return replace(config, placement=placement, appearance=appearance, tiles_per_canvas=1)


def real_tiles(folder: Path, count: int, rng: np.random.Generator, side: int) -> list[np.ndarray]:
    """Return normalised crops of random PNG slices of a folder, each (side, side), about 1 mm a pixel."""
    files = sorted(folder.glob("*.png"))
    if not files:
        raise ValueError(f"There is no PNG picture in {folder}; name a folder with upright sagittal slices.")
    chosen = rng.choice(len(files), count, replace=count > len(files))
    return [_real_tile(files[i], rng, side) for i in chosen]


def _real_tile(file: Path, rng: np.random.Generator, side: int) -> np.ndarray:
    array = sitk.GetArrayFromImage(sitk.ReadImage(str(file))).astype(np.float32)
    array = array[..., :3].mean(-1) if array.ndim == 3 else array
    size = [round(length * _REAL_HEIGHT_MM / array.shape[0]) for length in array.shape]
    image = torch.nn.functional.interpolate(
        torch.from_numpy(array)[None, None], size=size, mode="bilinear", align_corners=False, antialias=True
    )[0, 0].numpy()
    short = [max(0, side - length) for length in image.shape]
    image = np.pad(image, [(s // 2, s - s // 2) for s in short])
    row, column = (int(rng.integers(0, length - side + 1)) for length in image.shape)
    tile = image[row : row + side, column : column + side]
    return normalise_tiles(torch.from_numpy(tile.copy())).numpy()


def _grid(tiles: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Return tiles as one 8-bit picture, row by row, with narrow gaps."""
    side = tiles[0].shape[0] + _GAP_PX
    rows = -(-len(tiles) // columns)
    sheet = np.full((rows * side, columns * side), 90, np.uint8)
    for k, tile in enumerate(tiles):
        r, c = (k // columns) * side, (k % columns) * side
        grey = np.clip((tile - _SHOWN[0]) / (_SHOWN[1] - _SHOWN[0]), 0, 1) * 255
        sheet[r : r + tile.shape[0], c : c + tile.shape[1]] = grey
    return sheet
