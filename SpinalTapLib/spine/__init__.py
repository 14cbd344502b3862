"""Vertebrae, levels, boxes and measurements: the values that everything else speaks about."""
