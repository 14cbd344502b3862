"""The files that are written, and read back."""
