"""`make site`: the course as pages to read, made from notebooks, docstrings, records and model cards by Sphinx."""
