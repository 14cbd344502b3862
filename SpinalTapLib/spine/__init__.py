"""Value types and vocabularies: vertebrae, levels, boxes, structures, notes, measurements. NumPy only."""
