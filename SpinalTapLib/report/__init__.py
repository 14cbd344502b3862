"""Report: the picture of a result, report.png."""
