"""The child process that computes beside the panel."""
