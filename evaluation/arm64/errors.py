"""What can go wrong before a measurement: each says in one line what is wrong and what to do."""

from runtime.errors import InputError


class Arm64Error(InputError):
    """The request cannot be carried out: an unknown profile, no emulator, a model that is not there."""


class SetupError(Arm64Error):
    """The emulator cannot be set up on this machine, or not now."""
