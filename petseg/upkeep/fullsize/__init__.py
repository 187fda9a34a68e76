"""Masks at the photo's original size: ways to get there from the working size, compared on original trimaps."""
