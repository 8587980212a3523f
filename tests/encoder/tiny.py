"""Encoders small enough to train in a test, as presets; `python -m tests.encoder.tiny` trains them."""

import sys

from encoder.config import PRESETS, EncoderConfig
from encoder.train.__main__ import main

TINY = {
    "tiny": EncoderConfig(image_size=(64, 64), text_max_length=16),
    "tiny_sam": EncoderConfig(image_size=(64, 64), text_max_length=16, roi_method="custom_sam_lite"),
    "tiny_other": EncoderConfig(
        image_size=(64, 64),
        text_max_length=16,
        backbone="mobilenetv3_small",
        global_projection="avg_pool_mlp",
        text_model="custom_lstm",
        fusion="cross_attention_only",
    ),
}
"""The first two have the modules of `balanced` and `balanced_sam`, whose weights fit them."""

if __name__ == "__main__":
    PRESETS.update(TINY)
    sys.exit(main())
