"""`make ablation`: what each part of the recipe is worth, told by short runs that lack it."""

from petseg.ablation.cost import measure_cost
from petseg.ablation.plan import AblationError, Plan, Run, read_plan
from petseg.ablation.runs import read_summary, train
from petseg.ablation.table import ablation_table, collected, noise

__all__ = [
    "AblationError",
    "Plan",
    "Run",
    "ablation_table",
    "collected",
    "measure_cost",
    "noise",
    "read_plan",
    "read_summary",
    "train",
]
