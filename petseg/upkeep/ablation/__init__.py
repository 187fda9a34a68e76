"""`make ablation`: short runs that differ from a base recipe in one setting, to measure what each contributes."""
