"""Write Resources/Terminology/SpinalTap.term.json from the table of levels.

    python docs/make_terminology.py

Slicer's own terminologies contain only the generic vertebra, so the module ships a context of its own with one type per
level, in the level's colour. Levels without a SNOMED CT code (L6, T13, unknown levels) share the generic code. The
format is dcmqi's segment-context schema.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "Resources" / "Terminology" / "SpinalTap.term.json"


def terminology() -> dict[str, Any]:
    """Return the terminology as the JSON object that Slicer reads."""
    from SpinalTapLib.spine import levels, segments

    def entry(code: str, meaning: str, label: str, colour: tuple[int, int, int]) -> dict[str, Any]:
        return {
            "CodingSchemeDesignator": "SCT",
            "CodeValue": code,
            "CodeMeaning": meaning,
            "SNOMEDCTConceptID": code,
            "3dSlicerLabel": label,
            "recommendedDisplayRGBValue": list(colour),
        }

    types = [
        entry(level.code, level.meaning, level.name, level.colour)
        for level in levels.LEVELS
        if level.code != levels.GENERIC_VERTEBRA_CODE
    ]
    types.append(entry(levels.GENERIC_VERTEBRA_CODE, "Vertebra", "Vertebra", segments.GENERIC_COLOUR))
    types.append(entry(levels.DISC_CODE, "Intervertebral disc", "Intervertebral disc", segments.DISC_COLOUR))
    types.append(entry(levels.ARCH_CODE, "Arch of vertebra", "Arch of vertebra", segments.GENERIC_COLOUR))
    types.append(entry(levels.SACRUM_CODE, "Sacrum", "Sacrum below S1", segments.SACRUM_COLOUR))
    types.append(entry(levels.CANAL_CODE, "Spinal canal", "Dural sac", segments.CANAL_COLOUR))
    return {
        "SegmentationCategoryTypeContextName": segments.TERMINOLOGY,
        "@schema": "https://raw.githubusercontent.com/qiicr/dcmqi/master/doc/segment-context-schema.json#",
        "SegmentationCodes": {
            "Category": [
                {
                    "CodingSchemeDesignator": "SCT",
                    "CodeValue": "123037004",
                    "CodeMeaning": "Anatomical Structure",
                    "showAnatomy": False,
                    "Type": types,
                }
            ]
        },
    }


def text() -> str:
    """Return the file's text."""
    return json.dumps(terminology(), indent=2) + "\n"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    TARGET.write_text(text(), encoding="utf-8")
