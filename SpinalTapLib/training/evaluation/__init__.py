"""The evaluation protocol."""
