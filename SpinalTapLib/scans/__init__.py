"""Files to sagittal volumes."""
