"""Segment many scans: find them, hand them to processes or to a cluster, and make tables of the results."""
