"""What notebook 03 needs to train in the open: the recipe, live progress, and a stop that can be undone."""

from petseg.lesson.progress import Log, Progress, peak_memory, quiet
from petseg.lesson.recipe import fingerprint, model_card, read_recipe, stages, val_matrices, warm_averages, yaml_file
from petseg.lesson.runs import Command, EpochSeeds, joined, new_version, unfinished

__all__ = [
    "Command",
    "EpochSeeds",
    "Log",
    "Progress",
    "fingerprint",
    "joined",
    "model_card",
    "new_version",
    "peak_memory",
    "quiet",
    "read_recipe",
    "stages",
    "unfinished",
    "val_matrices",
    "warm_averages",
    "yaml_file",
]
