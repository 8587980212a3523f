"""Checks the Android library and app without an Android SDK: python -m android_demo.check."""

from pathlib import Path

from runtime.errors import InputError

DEMO = Path(__file__).resolve().parents[1]
ROOT = DEMO.parent


class AndroidError(InputError):
    """The check cannot be done here: a missing program, an unusable bundle, a tool that failed."""
