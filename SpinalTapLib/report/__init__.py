"""The picture of a result, report.png."""
