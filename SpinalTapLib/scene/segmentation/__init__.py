"""The segmentation node: its segments, label values, surfaces, and how hand edits are noticed."""
