"""Tissues of a synthetic slice."""

from __future__ import annotations

from enum import IntEnum


class Tissue(IntEnum):
    """Tissue of a canvas pixel; `images/contrast.py` assigns its intensity."""

    AIR = 0
    FAT = 1  # subcutaneous, retroperitoneal, mediastinal
    MUSCLE = 2
    MUSCLE_FAT = 3  # fatty streaks and septa
    ORGAN_A = 4  # liver, kidney, spleen, uterus wall: three soft tissues of different contrast
    ORGAN_B = 5
    ORGAN_C = 6
    FLUID = 7  # bladder, cysts, gastric or bowel fluid
    GAS = 8  # bowel, trachea, pharynx
    LUNG = 9
    VESSEL = 10  # flowing blood: dark (flow void) or bright
    VESSEL_WALL = 11
    POSTERIOR_MARROW = 12  # spinous process, lamina, facets, pedicle, rib
    CORTEX = 13  # thin dark shell of any bone
    LIGAMENT = 14
    EPIDURAL_FAT = 15
    CSF = 16
    CORD = 17
    ROOTS = 18  # cauda equina, nerve roots
    ANNULUS_OUTER = 19
    ANNULUS_INNER = 20
    NUCLEUS = 21
    NUCLEUS_DRY = 22  # degenerated
    NUCLEUS_GAS = 23  # vacuum
    MARROW = 24
    BASIVERTEBRAL = 25
    SACRAL_MARROW = 26  # S1 and below
    SACRAL_DISC = 27
    ENDPLATE = 28  # unused; kept so that stored canvases and random seeds stay valid
    MODIC_1 = 29  # oedema
    MODIC_2 = 30  # fat
    MODIC_3 = 31  # sclerosis
    LESION = 32  # metastasis, myeloma
    HAEMANGIOMA = 33
    CEMENT = 34
    METAL = 35
    BRAIN = 36
    SKULL = 37
    HEART = 38
    SKIN = 39


N_TISSUES = len(Tissue)
