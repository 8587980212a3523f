"""Run an exported screen-context encoder: numpy, Pillow and one engine, nothing else.

Installed, the package is `pocket_encoder`; in the repository it is `runtime`.

Example:
    from pocket_encoder import ScreenEncoder
    encoder = ScreenEncoder.load("dist/balanced")
    embedding = encoder.encode("screenshot.png", "see you at")  # float32 [256]

Bad input of any kind raises an `InputError`, whose message is one line.
"""

import os
from typing import TYPE_CHECKING, Any

from .errors import InputError

if TYPE_CHECKING:
    from .session import ScreenEncoder

__all__ = ["InputError", "ScreenEncoder", "__version__"]

__version__ = "0.1.0"

# ONNX Runtime reports to its makers, since 1.29 on Linux too, unless it is told not to before it is loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def __getattr__(name: str) -> Any:
    # Loaded on first use: importing the package costs nothing, not even numpy.
    if name == "ScreenEncoder":
        from .session import ScreenEncoder

        return ScreenEncoder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
