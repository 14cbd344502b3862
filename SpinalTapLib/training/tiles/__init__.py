"""Training examples, cut from drawn slices."""
