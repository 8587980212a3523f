"""Training: teaches an encoder from rendered screens, on a CPU or a GPU. `python -m encoder.train --help`."""

from runtime.errors import FailedError, InputError


class TrainError(InputError):
    """Training that cannot start or go on as asked; the message says what is wrong and what to do."""


class TrainingDivergedError(FailedError):
    """The loss is not finite any more; the message names the step. The last good checkpoint is kept."""
