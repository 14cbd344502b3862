"""A synthetic person, drawn as tissues."""
