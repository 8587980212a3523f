"""Pruning: a preset's encoder cut to a budget of parameters, which then learns from the whole one."""
