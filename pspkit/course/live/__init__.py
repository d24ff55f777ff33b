"""The live page: one HTML file in which the model runs, opened from a disk without a network."""
