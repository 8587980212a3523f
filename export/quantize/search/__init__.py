"""Searches a quantization recipe: what INT8 of a group costs in accuracy, instructions, bytes."""
