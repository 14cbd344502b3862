"""From tissues to an MR image."""
