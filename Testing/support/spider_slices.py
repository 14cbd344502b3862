"""Slices like SPIDER's, drawn by hand: disc boxes, whole vertebrae, and a folder with both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from SpinalTapLib.training.evaluation.spider_slices import SpiderSlice

PITCH, DEPTH = 50.0, 46.0


def spine(count: int = 6, lean: float = 0.25, unboxed: int = 0) -> SpiderSlice:
    """Disc boxes one below the other, `lean` px backwards for each px down; the first at row 60."""
    centres = np.array([(60 + PITCH * i, 150 + lean * PITCH * i) for i in range(count)])
    half = np.array([9, DEPTH / 2])
    boxes = np.hstack([centres - half, centres + half])
    return SpiderSlice("7_t2", "7", "T2", np.zeros((500, 400), np.float32), boxes, unboxed)


def bodies(item: SpiderSlice) -> np.ndarray:
    """The true centroids between the boxes."""
    return (item.centres[1:] + item.centres[:-1]) / 2


def vertebra_labels(posterior: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Whole vertebrae, and their bodies: squares of 26 x 34 px with a pedicle and a spinous process."""
    labels, truth = np.zeros((260, 160), np.uint8), np.zeros((260, 160), np.uint8)
    for k in range(5):
        top = 200 - 38 * k
        truth[top : top + 26, 40 + k : 74 + k] = k + 1
        if posterior:
            labels[top + 3 : top + 15, 74 + k : 96 + k] = k + 1
            labels[top + 8 : top + 26, 96 + k : 126 + k] = k + 1
    labels[truth > 0] = truth[truth > 0]
    return labels, truth


def write_png(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(array.astype(np.uint8)), str(path))


def write_folder(folder: Path) -> Path:
    """Two slices with boxes and one with masks, as SPIDER's are kept."""
    item = spine()
    rows = ["image,idx_top_to_bottom,x0,y0,x1,y1"]
    for name in ("3_t1", "4_t2_SPACE"):
        image = np.zeros((500, 400))
        for row, column in bodies(item):
            image[int(row) - 12 : int(row) + 12, int(column) - 15 : int(column) + 15] = 200
        write_png(folder / "images" / f"{name}.png", image)
        order = reversed(range(len(item.boxes)))  # the file's order does not matter, its numbers do
        rows += [
            f"{name},{i},{item.boxes[i][1]},{item.boxes[i][0]},{item.boxes[i][3]},{item.boxes[i][2]}" for i in order
        ]
    (folder / "disc_boxes.csv").write_text("\n".join(rows))
    (folder / "overview.csv").write_text("new_file_name,num_discs\n3_t1,7\n4_t2_SPACE,6\n")
    labels, _ = vertebra_labels()
    write_png(folder / "masks" / "5_slice2_labels.png", labels)
    write_png(folder / "masks" / "5_slice2_image.png", (labels > 0) * 150)
    return folder
