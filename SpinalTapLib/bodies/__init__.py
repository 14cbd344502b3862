"""Bodies: from masks to outlines, solids and surfaces."""
