"""The screen-context encoder in PyTorch: screenshot, typed text and user vector to one embedding."""

import logging
import os
from pathlib import Path

from encoder.config import PRESETS, ConfigError, EncoderConfig, preset

# torchao, which transformers loads where it is installed, makes torch warn of torchao's own code.
logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)

# torch makes this folder when timm is imported, among the temporary files unless it is told otherwise.
_BUILD = Path(os.environ.get("POCKET_CACHE") or Path(__file__).parents[1] / "build")
os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(_BUILD / "torchinductor"))

__all__ = ["PRESETS", "ConfigError", "EncoderConfig", "build", "preset"]


def __getattr__(name: str):
    """Loads torch only when a model is asked for, so that reading a config stays quick."""
    if name == "build":
        from encoder.model import build

        return build
    raise AttributeError(f"module 'encoder' has no attribute {name!r}")
