"""Files: weights and codes, fetched assets, atomic writing."""
