"""The child process in which the pipeline runs beside the panel."""
