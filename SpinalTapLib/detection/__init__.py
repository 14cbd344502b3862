"""Detection: from sagittal slices to candidate vertebrae."""
