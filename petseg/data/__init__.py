"""Notebook 01: the data set. Its splits, batches, cache, download, augmentation and statistics, and drawn cartoons."""
