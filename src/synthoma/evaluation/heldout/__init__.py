"""What a trained segmenter or classifier is worth on patients whom it did not learn from."""
