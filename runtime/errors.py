"""The base of every error that bad input raises: one line that says what is wrong, where, and what to do."""


class InputError(ValueError):
    """What the caller passed cannot be used. Command lines print it as one line and exit 2."""


class FailedError(RuntimeError):
    """The work itself failed, though its input was good. Command lines print it as one line and exit 1."""
