"""Ways out: cohorts and findings as other tools read them, a file for each form."""
