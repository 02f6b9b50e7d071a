"""One loop for every model, the steps that it runs, and what makes a run exact and resumable."""
