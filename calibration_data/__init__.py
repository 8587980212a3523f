"""Phone screens that calibrate and check the encoder, and the generator that renders them.

The committed set is `samples.jsonl` with its images below `screens/`. `python -m calibration_data render`
draws the same set again; `plan.plan_screens` and `content.screen_spec` draw any number of others.
"""

from pathlib import Path

from runtime.errors import InputError

ROOT = Path(__file__).resolve().parent


class CalibrationDataError(InputError):
    """Something that the caller can put right: a missing tool, a wrong folder, a bad sample."""
