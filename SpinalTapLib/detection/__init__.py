"""Sagittal slices to candidate vertebrae."""
