"""Synthetic spines and the networks trained on them. Outside this folder only the command line imports it."""
