"""Synthetic spines and the networks trained on them. Nothing outside this folder imports it, but the command line."""
