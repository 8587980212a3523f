"""What tests of the training command share: quick options, and how a refusal reads."""

QUICK = (
    *("--preset", "tiny", "--stage", "context", "--teacher", "none"),
    *("--batch", "4", "--low-resolution-share", "1", "--steps", "3"),
)


def arguments(data, out, *more) -> list[str]:
    return [*map(str, ["--data", data, "--out", out, *QUICK, *more])]


def one_line(error: str) -> str:
    """The last line, which says what is wrong; there is no other error and no traceback."""
    assert error.count("error: ") == 1 and "Traceback" not in error
    line = error.splitlines()[-1]
    assert line.startswith("error: ")
    return line
