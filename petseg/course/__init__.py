"""What a notebook needs: set-up, published results, sliders, and exercises that say whether an answer is right."""

from petseg.course.checks import check
from petseg.course.explore import explore
from petseg.course.record import ablation, published, read_log, references, repository, results
from petseg.course.setup import Setup, best_device, chosen_profile, default_runs_dir, start

__all__ = [
    "Setup",
    "ablation",
    "best_device",
    "check",
    "chosen_profile",
    "default_runs_dir",
    "explore",
    "published",
    "read_log",
    "references",
    "repository",
    "results",
    "start",
]
