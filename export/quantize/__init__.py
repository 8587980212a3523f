"""INT8: which layer gets which precision (`plan.py`, data), and the two tools that carry it out."""
