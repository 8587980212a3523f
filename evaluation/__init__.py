"""Evaluation: a bundle in, verdicts out. It reads bundles alone and loads no PyTorch."""
