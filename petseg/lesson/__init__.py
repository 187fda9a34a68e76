"""What notebooks 03 and 06 need to train in the open: recipe, live progress, runs that go on, transfer learning."""

from petseg.lesson.probe import linear_probe
from petseg.lesson.progress import Log, Progress, peak_memory, quiet
from petseg.lesson.recipe import fingerprint, model_card, read_recipe, stages, val_matrices, warm_averages, yaml_file
from petseg.lesson.runs import Command, EpochSeeds, joined, last_epoch, new_version, unfinished
from petseg.lesson.transfer import WAYS, Plan, TransferError, imagenet_there, matrices, task_for, train
from petseg.lesson.transfer_log import Run, publish_runs, read_runs

__all__ = [
    "WAYS",
    "Command",
    "EpochSeeds",
    "Log",
    "Plan",
    "Progress",
    "Run",
    "TransferError",
    "fingerprint",
    "imagenet_there",
    "joined",
    "last_epoch",
    "linear_probe",
    "matrices",
    "model_card",
    "new_version",
    "peak_memory",
    "publish_runs",
    "quiet",
    "read_recipe",
    "read_runs",
    "stages",
    "task_for",
    "train",
    "unfinished",
    "val_matrices",
    "warm_averages",
    "yaml_file",
]
