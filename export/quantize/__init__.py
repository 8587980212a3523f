"""INT8: which layer gets which precision (`recipe.py`, data), and the two tools that carry it out."""
