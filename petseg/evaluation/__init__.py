"""Notebook 04: evaluation. A model over a whole split, and how it stands damaged images."""
