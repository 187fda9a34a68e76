"""For maintainers: what writes README's numbers and figures, runs the notebooks, and repeats the trainings."""
