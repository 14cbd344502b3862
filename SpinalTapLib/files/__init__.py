"""Read and write result files."""
