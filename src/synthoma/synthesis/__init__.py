"""From a trained generator to a labelled synthetic cohort, and to files that other tools read."""
