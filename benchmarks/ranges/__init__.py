"""Ways to take the ranges of INT8 activations, side by side on screens that set none."""
