"""Notebook 01: the data set. Splits, batches, cache, download, augmentation and statistics, and the cartoons."""
