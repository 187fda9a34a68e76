"""Notebook 03: training. The task, Lightning's command line, callbacks, runs and their logs, releases, recipes."""
