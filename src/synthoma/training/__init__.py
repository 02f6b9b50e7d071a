"""One loop for every model, checkpoints, the model file, and what makes a run exact and resumable."""
