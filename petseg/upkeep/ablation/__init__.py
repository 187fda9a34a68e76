"""`make ablation`: what each part of the recipe is worth, told by short runs that lack it."""
