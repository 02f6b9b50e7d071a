"""Is a synthetic cohort realistic, diverse and private? Every score beside what real scans score against each other."""
