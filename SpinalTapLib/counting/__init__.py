"""Candidate vertebrae to levels."""
