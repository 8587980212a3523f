"""Encoders small enough to train in a test, as presets; `python -m tests.encoder.tiny` trains them."""

import sys
from dataclasses import replace

from encoder.config import PRESETS, EncoderConfig
from encoder.train.__main__ import main

SMALL = EncoderConfig(image_size=(64, 64), text_max_length=16)
TINY = {
    "tiny": replace(SMALL, text_model="custom_lstm"),
    "tiny_sam": replace(SMALL, roi_method="custom_sam_lite"),
    "tiny_other": replace(
        SMALL,
        backbone="mobilenetv3_small",
        global_projection="avg_pool_mlp",
        fusion="cross_attention_only",
    ),
}
"""`tiny_sam` has the modules of `balanced_sam`, so that weights of `balanced` fit its other parts."""

if __name__ == "__main__":
    PRESETS.update(TINY)
    sys.exit(main())
