"""Review results in a web browser: see a cohort, judge it, correct it. Serves this computer only."""
