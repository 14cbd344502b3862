"""Masks to outlines, solids and surfaces."""
