"""How a command ends: its exit code, and its words on standard error.

0 done · 1 the job or the check failed · 2 wrong use or bad input · 3 something must be installed
or set first · 4 refused · 130 interrupted
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from enum import IntEnum

from media_mcp.errors import BadInput, MediaError, NotConfigured, Refused
from media_mcp.media.names import printable

PROGRAM = "media-mcp"
YOUNG = 2000  # objects that come before the youngest are looked through; 700 by default


class ExitCode(IntEnum):
    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_CONFIGURED = 3
    REFUSED = 4
    INTERRUPTED = 130


_CODES: tuple[tuple[type[MediaError], ExitCode], ...] = (
    (BadInput, ExitCode.USAGE),
    (NotConfigured, ExitCode.NOT_CONFIGURED),
    (Refused, ExitCode.REFUSED),
)


def code_of(error: MediaError) -> ExitCode:
    """Return the exit code for an error that reached the command line."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), ExitCode.FAILED)


def complain(message: str, hint: str = "") -> None:
    """Write an error, and what to do next, to standard error."""
    sys.stderr.write(f"error: {_fit(message)}\n" + (f"hint: {_fit(hint)}\n" if hint else ""))


def note(message: str) -> None:
    """Write a line for people to standard error."""
    sys.stderr.write(f"{_fit(message)}\n")
    sys.stderr.flush()


def _fit(message: str) -> str:
    """Return words that may hold a stranger's without what could command a terminal."""
    return printable(message, keep="\n\t")


def settled() -> None:
    """Call once a command has imported what it needs: collect garbage again, but not the code."""
    gc.freeze()
    gc.enable()


def serving() -> None:
    """Call once a server has opened what it serves: look for garbage in that no more, and less
    often in all the rest.

    A look through what hundreds of clients hold stops everybody for some 50 ms. By default it
    comes every ten seconds under load, for what a call leaves is taken for old before the call is
    over; with more room for the young it comes once a minute and finds no more.
    """
    gc.set_threshold(YOUNG)
    settled()


def reported(argv: Sequence[str] | None) -> int:
    """Run the command in `argv` (default: the process's) and turn every error into words."""
    from typer.exceptions import TyperException

    from media_mcp.cli.app import app

    given = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    try:
        code = app(given, prog_name=PROGRAM, standalone_mode=False)
        sys.stdout.flush()
        return int(code or 0)
    except MediaError as error:
        complain(error.message, error.hint)
        return code_of(error)
    except TyperException as error:
        return _misused(error)
    except BrokenPipeError:
        return _nobody_reads()


def _misused(error: Exception) -> int:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else PROGRAM
    words = getattr(error, "format_message", error.__str__)()
    complain(words, f"See {path} --help.")
    return int(getattr(error, "exit_code", ExitCode.USAGE))


def _nobody_reads() -> int:
    """Standard output is closed (`media-mcp models | head`): end without more words."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.FAILED
