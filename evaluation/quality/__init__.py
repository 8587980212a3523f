"""Evaluation of an exported encoder, on screens, texts and sentences that it never saw.

Nothing here needs PyTorch: the exported files are run, as an app would run them.
"""
