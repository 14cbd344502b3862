"""MR images, made from tissues."""
