"""Run an exported screen-context encoder: numpy and one engine, nothing else.

Example:
    from runtime import ScreenEncoder
    encoder = ScreenEncoder.load("dist/balanced")
    embedding = encoder.encode("screenshot.png", "see you at")  # float32 [256]
"""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runtime.session import ScreenEncoder

__all__ = ["ScreenEncoder"]

# ONNX Runtime reports to its makers, since 1.29 on Linux too, unless it is told not to before it is loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def __getattr__(name: str) -> Any:
    # Loaded on first use: importing the package costs nothing, not even numpy.
    if name == "ScreenEncoder":
        from runtime.session import ScreenEncoder

        return ScreenEncoder
    raise AttributeError(f"module 'runtime' has no attribute {name!r}")
