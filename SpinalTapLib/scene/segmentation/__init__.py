"""The segmentation node: its segments, label values, surfaces, and the detection of hand edits."""
