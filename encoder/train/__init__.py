"""Training: teaches an encoder from rendered screens, on a CPU or a GPU. `python -m encoder.train --help`."""


class TrainError(ValueError):
    """Training that cannot start or go on as asked; the message says what is wrong and what to do."""


class TrainingDivergedError(RuntimeError):
    """The loss is no number any more; the message names the step. The last good checkpoint is kept."""
