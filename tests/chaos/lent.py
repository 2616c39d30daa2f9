"""A decoder that need not be started: a fork of a process that has the decoders in it already."""

from __future__ import annotations

import os
import signal
import socket
import sys

import av  # noqa: F401 (a decoder has it)

from media_mcp.media.decoding import __main__ as decoding
from media_mcp.media.decoding.pool import COMMAND, Decoder, _idle


class Child:
    """As much of a `Popen` as a decoder needs, of a process that was forked."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        return self._ended(os.WNOHANG)

    def wait(self, timeout: float | None = None) -> int | None:
        return self._ended(0)

    def kill(self) -> None:
        os.kill(self._pid, signal.SIGKILL)

    def _ended(self, how: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self._pid, how)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode


class Lent(Decoder):
    """Speaks with a fork as with a program."""

    def __init__(self) -> None:
        self.command = COMMAND
        self.uses = 0
        self._greeted = False
        self._socket, theirs = socket.socketpair()
        self._socket.setblocking(False)
        pid = os.fork()
        if not pid:
            decode(theirs.fileno())
        theirs.close()
        self._process = Child(pid)  # type: ignore[assignment]


def decode(channel: int) -> None:
    """Be a decoder, until the other end is closed."""
    try:
        os.dup2(channel, 0)
        os.dup2(channel, 1)
        os.closerange(3, 64)
        sys.stdin, sys.stdout = open(0), open(1, "w")  # noqa: SIM115
        decoding.main()
    finally:
        os._exit(0)


def lend_decoder() -> None:
    """Have one wait, before there is an event loop or a thread."""
    _idle[COMMAND].append(Lent())
