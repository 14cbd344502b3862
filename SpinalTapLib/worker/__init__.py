"""The worker: a child process that runs the pipeline for the panel."""
