"""Searches the precision plan: what groups of layers cost in INT8, in accuracy, instructions and bytes."""
