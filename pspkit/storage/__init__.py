"""Files on disk: weights and codes, fetched assets, and writing that is whole or not at all."""
