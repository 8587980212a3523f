"""What every command line of the project shares: subcommands, one way to fail, exit statuses."""

from __future__ import annotations

import argparse
import difflib
import importlib
import shutil
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, NoReturn

from .errors import FailedError

EXIT_FAILED, EXIT_USE, EXIT_INTERRUPT = 1, 2, 130
HELP = ("-h", "--help")


class Command(NamedTuple):
    """A subcommand.

    Attributes:
        module: imported once it is chosen; has `add_arguments(parser)` and `run(options) -> int`, and may say
            in `INTERRUPTED` what an interrupt leaves behind.
        help: one line.
        epilog: what its --help ends with.
    """

    module: str
    help: str
    epilog: str = "Exit status: 0 all well, 1 a limit failed, 2 bad use or bad input."


class Parser(argparse.ArgumentParser):
    """An argparse parser that reports bad use in one line and lists what is valid."""

    def error(self, message: str) -> NoReturn:
        """Prints one line and exits 2."""
        self.exit(EXIT_USE, error_line(f"{message} (see {self.prog} --help)"))

    def refuse(self, unknown: Sequence[str]) -> NoReturn:
        """Reports arguments that this parser does not know, and exits 2."""
        options = [o for action in self._actions for o in action.option_strings if o.startswith("--")]
        self.error(f"unknown argument {' '.join(unknown)}; the options are {', '.join(options)}")


def run_program(
    prog: str,
    description: str,
    commands: Mapping[str, Command],
    arguments: Sequence[str] | None = None,
    *,
    default: str | None = None,
) -> int:
    """Runs the subcommand that the arguments name.

    Args:
        prog: how the program is called.
        description: one line about it.
        commands: by name.
        arguments: of the command line; None for the process's own.
        default: the command that runs where none is named.

    Returns:
        The exit status: 0, 1 where a limit or the work failed, 2 for bad use or input, 130 if interrupted.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    first = given[0] if given else ""
    if first in HELP:
        print(_overview(prog, description, commands, default), end="")
        return 0
    if first in commands:
        return _run(f"{prog} {first}", commands[first], given[1:])
    close = difflib.get_close_matches(first, commands, 1, 0.75)
    if default is None or close:
        known = f"did you mean {close[0]!r}?" if close else f"the commands are {', '.join(commands)}"
        what = f"unknown command {first!r}" if given else "no command given"
        return _fail(f"{what}; {known} (see {prog} --help)", EXIT_USE)
    return _run(prog, commands[default], given)


def run_guarded(work: Callable[[], int], interrupted: str = "interrupted") -> int:
    """Calls `work`; what it raises becomes one line on standard error, and the exit status."""
    try:
        return work()
    except FailedError as error:
        return _fail(str(error), EXIT_FAILED)
    except ValueError as error:
        return _fail(str(error), EXIT_USE)
    except OSError as error:
        return _fail(f"{error.filename or 'disk'}: {error.strerror or error}", EXIT_USE)
    except KeyboardInterrupt:
        return _fail(interrupted, EXIT_INTERRUPT)


def error_line(message: object) -> str:
    """The line that says what is wrong."""
    return "error: " + " ".join(str(message).split()) + "\n"


def _run(prog: str, command: Command, arguments: Sequence[str]) -> int:
    module = importlib.import_module(command.module)
    parser = _parser(prog, command, module)
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        parser.refuse(unknown)
    return run_guarded(lambda: module.run(options), getattr(module, "INTERRUPTED", "interrupted"))


def _parser(prog: str, command: Command, module: object) -> Parser:
    parser = Parser(prog=prog, description=command.help, epilog=command.epilog, allow_abbrev=False)
    module.add_arguments(parser)
    return parser


def _overview(prog: str, description: str, commands: Mapping[str, Command], default: str | None) -> str:
    width, columns = max(map(len, commands)), shutil.get_terminal_size().columns
    listed = "\n".join(
        textwrap.fill(
            command.help, columns, initial_indent=f"  {name:{width}}  ", subsequent_indent=" " * (width + 4)
        )
        for name, command in commands.items()
    )
    if default is None:
        return f"usage: {prog} COMMAND ...\n\n{description}\n\ncommands (each has --help):\n{listed}\n"
    own = _parser(prog, commands[default], importlib.import_module(commands[default].module))
    return f"{own.format_help()}\ncommands (each has --help; without one, it is {default}):\n{listed}\n"


def _fail(message: str, code: int) -> int:
    sys.stderr.write(error_line(message))
    return code
