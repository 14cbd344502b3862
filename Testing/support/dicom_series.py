"""DICOM series of a few small slices, written one file a slice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

PIXELS = np.random.default_rng(2).integers(0, 1000, (6, 9, 7)).astype(np.int16)
SAGITTAL = ((0, 1, 0), (0, 0, -1))
AXIAL = ((1, 0, 0), (0, 1, 0))
CORONAL = ((1, 0, 0), (0, 0, -1))
MR, CT = ("MR", "1.2.840.10008.5.1.4.1.1.4"), ("CT", "1.2.840.10008.5.1.4.1.1.2")


def write_series(folder: Path, pixels: np.ndarray = PIXELS, *, uid="1.2.3.1", number="1", description="T2 SAG",
                 modality=MR, image_type="ORIGINAL\\PRIMARY\\M", echo_time="100", cosines=SAGITTAL, step_mm=4.0,
                 pixel_mm=0.7, origin=(10.0, -50.0, 60.0), instance=1, drift=(0, 0, 0),
                 more=None) -> list[Path]:  # fmt: skip
    """Write one file a slice, numbered against the direction of their positions, as no reader should rely on."""
    folder.mkdir(parents=True, exist_ok=True)
    along, down = map(np.array, cosines)
    normal = np.cross(along, down)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    paths = []
    for index, plane in enumerate(pixels):
        image = sitk.GetImageFromArray(plane[None])
        image.SetSpacing((pixel_mm, pixel_mm, step_mm))
        image.SetOrigin((np.array(origin) + normal * step_mm * index + np.array(drift) * index).tolist())
        image.SetDirection(np.stack([along, down, normal], 1).astype(float).ravel().tolist())
        number_in_series = instance + len(pixels) - index
        for tag, value in {
            "0008|0008": image_type, "0008|0016": modality[1], "0008|0018": f"{uid}.{number_in_series}",
            "0008|0060": modality[0], "0008|103e": description, "0018|0081": echo_time, "0020|000d": "1.2.3",
            "0020|000e": uid, "0020|0011": number, "0020|0013": str(number_in_series), **(more or {}),
        }.items():  # fmt: skip
            image.SetMetaData(tag, value)
        paths.append(folder / f"{uid}-{number_in_series:03d}")
        writer.SetFileName(f"{paths[-1]}.dcm")
        writer.Execute(image)
        paths[-1] = Path(f"{paths[-1]}.dcm").rename(paths[-1])  # scanners give no ending
    return paths
