"""Notebook 05: from a photo to a cut-out. Decoding, prediction in two passes, ONNX. Needs no Lightning."""
