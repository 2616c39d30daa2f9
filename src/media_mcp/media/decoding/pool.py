"""Asks the decoders' processes, and ends those that take too long, die or talk nonsense."""

from __future__ import annotations

import asyncio
import atexit
import base64
import binascii
import logging
import os
import re
import signal
import socket
import subprocess
import sys
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from media_mcp.errors import BadMedia, NotConfigured
from media_mcp.job import Asset
from media_mcp.media.decoding.protocol import (
    MAX_LINE,
    Answer,
    Ask,
    Draw,
    Drawn,
    Found,
    Read,
    Ready,
    Refusal,
    Sight,
    encode_ask,
)
from media_mcp.media.facts import Seen
from media_mcp.media.names import shown

if TYPE_CHECKING:
    from pydantic import TypeAdapter

log = logging.getLogger(__name__)

AT_ONCE = 2  # files decoded at once
USES = 1000  # files after which a process makes room for a new one: decoders leak
SECONDS = 90.0  # for one file; the readers give up by themselves after facts.PATIENCE
START_SECONDS = 60.0
PASSED = frozenset({"PATH", "LANG", "TZ", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "PYTHONPATH"})
# Some decoders take a thread a core, and each would reserve memory of its own out of the bound.
FIXED = {"MALLOC_ARENA_MAX": "2"}
EXTENSION = re.compile(r"[a-z0-9]{1,12}", re.ASCII)
MIME_TYPE = re.compile(r"[a-z0-9]{1,40}/[a-z0-9.+-]{1,80}", re.ASCII)
AGAIN = "Make or export the file again."

Command = tuple[str, ...]
COMMAND: Command = (sys.executable, "-P", "-m", "media_mcp.media.decoding")

# Of the whole program, by what started them: they outlive the loop that asked them.
_idle: defaultdict[Command, deque[Decoder]] = defaultdict(deque)


class Died(Exception):
    """A decoder is of no more use; the words say why."""


class Decoder:
    """One process, at the other end of a socket."""

    def __init__(self, command: Command = COMMAND) -> None:
        """Start it. Raises `NotConfigured`."""
        self.command = command
        self.uses = 0
        self._greeted = False
        self._socket, theirs = socket.socketpair()
        self._socket.setblocking(False)
        try:
            self._process = subprocess.Popen(
                command,
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,  # it may not write to files, and a log may be one
                cwd="/",
                env=environment(os.environ),
                start_new_session=True,  # Ctrl-C is the server's to handle
            )
        except OSError as error:
            self._socket.close()
            raise NotConfigured(
                f"The process that decodes media cannot be started: {error.strerror}.",
                "See that Python may start processes and that the machine has memory left.",
            ) from None
        finally:
            theirs.close()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    async def ask(self, line: bytes, seconds: float) -> bytes:
        """Return the line that answers. Raises `Died`; then, and when cancelled, it is ended."""
        try:
            if not self._greeted:
                await self._greet()
            return await self._exchange(line, seconds)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(self.end)
            raise

    async def _greet(self) -> None:
        answer = parsed(await self._exchange(b"", START_SECONDS))
        if not isinstance(answer, Ready):
            raise Died("said something else than that it is ready")
        self._greeted = True

    async def _exchange(self, line: bytes, seconds: float) -> bytes:
        loop = asyncio.get_running_loop()
        said = bytearray()
        try:
            with anyio.fail_after(seconds):
                await loop.sock_sendall(self._socket, line)
                while not said.endswith(b"\n"):
                    part = await loop.sock_recv(self._socket, 2**16)
                    if not part:
                        raise Died(await to_thread.run_sync(self._cause))
                    said += part
                    if len(said) > MAX_LINE:
                        raise Died("answered more than it may")
        except TimeoutError:
            raise Died(f"took longer than {seconds:g} s") from None
        except OSError:
            raise Died(await to_thread.run_sync(self._cause)) from None
        return bytes(said)

    def _cause(self) -> str:
        """Say why it left, in words that end `decoding it …`."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        code = self._process.returncode
        if code == -signal.SIGXCPU:
            return "took too much of the processor's time"
        if code == -signal.SIGKILL:
            return "was ended by the system, which may be short of memory"
        if code is not None and code < 0:
            return f"crashed the decoder ({_signal_name(-code)})"
        return "ended the decoder"

    def end(self) -> None:
        """End the process, now."""
        self._socket.close()
        with suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()


class Decoders:
    """Reads and draws files through decoders, two at a time; each is started when it is needed."""

    def __init__(self, *, seconds: float = SECONDS, command: Command = COMMAND) -> None:
        self._seconds = seconds
        self._command = command
        self._slots = anyio.CapacityLimiter(AT_ONCE)
        self._warming = False

    @property
    def cold(self) -> bool:
        """Whether no decoder waits, works or is being started."""
        busy = self._warming or self._slots.borrowed_tokens
        return not busy and not _idle[self._command]

    async def warm(self) -> None:
        """Start a decoder, unless one waits or works, so that the first file need not wait."""
        if not self.cold:
            return
        self._warming = True
        try:
            with suppress(NotConfigured):  # whoever needs it hears of that
                _keep(await to_thread.run_sync(Decoder, self._command))
        finally:
            self._warming = False

    async def read(
        self, path: Path, claimed: str | None = None, *, look: bool = False, draw: bool = False
    ) -> Seen:
        """Say what the bytes of a file are and, asked to `look`, what is wrong with them.

        Asked to `draw` as well, a picture comes with the small JPEG that `draw` would return.
        Raises `BadMedia` for what is broken, too much, or ends its decoder.
        """
        answer = await self._ask(Read(str(path), claimed, look, draw))
        if isinstance(answer, Found) and _sane(answer):
            return Seen(answer.facts, answer.flaws, _jpeg(answer))
        raise _refused(answer)

    async def draw(self, assets: Sequence[Asset]) -> bytes | None:
        """Return one small JPEG that shows `assets`, or None."""
        sights = tuple(Sight(str(a.path), a.kind, a.width, a.height, a.duration) for a in assets)
        answer = await self._ask(Draw(sights))
        return _jpeg(answer) if isinstance(answer, Drawn) else None

    async def _ask(self, ask: Ask) -> Answer:
        line = encode_ask(ask)
        async with self._slots:
            decoder = await self._take()
            try:
                answer = parsed(await decoder.ask(line, self._seconds))
            except Died as error:
                await to_thread.run_sync(decoder.end)
                log.warning("A decoder is gone: decoding %s", error)
                return Refusal(f"The file cannot be read: decoding it {error}.", AGAIN)
            if isinstance(answer, Refusal) and answer.bug:
                log.warning("A decoder met what it did not foresee: %s", shown(answer.bug))
            decoder.uses += 1
            if decoder.uses >= USES or not _keep(decoder):
                await to_thread.run_sync(decoder.end)
        return answer

    async def _take(self) -> Decoder:
        idle = _idle[self._command]
        while idle:
            decoder = idle.pop()
            if decoder.alive:
                return decoder
            await to_thread.run_sync(decoder.end)
        return await to_thread.run_sync(Decoder, self._command)


def _keep(decoder: Decoder) -> bool:
    """Let a decoder wait for the next file, if not enough of them do."""
    idle = _idle[decoder.command]
    if len(idle) < AT_ONCE:
        idle.append(decoder)
        return True
    return False


@atexit.register
def end_all() -> None:
    """End the decoders that wait; those that work notice that their socket is closed."""
    for idle in _idle.values():
        while idle:
            idle.pop().end()


def environment(ours: Mapping[str, str]) -> dict[str, str]:
    """Return what a decoder is told of our environment: how to start, and no more."""
    return {k: v for k, v in ours.items() if k in PASSED or k.startswith("LC_")} | FIXED


@lru_cache(maxsize=1)
def _answers() -> TypeAdapter[Answer]:
    from pydantic import TypeAdapter

    return TypeAdapter(Answer)


def parsed(line: bytes) -> Answer:
    """Read an answer. Raises `Died` for one that is none: whoever wrote it is not our decoder."""
    try:
        return _answers().validate_json(line, strict=True)
    except ValueError:
        raise Died("made the decoder talk nonsense") from None


def _sane(found: Found) -> bool:
    """Whether facts are fit to name files and headers by, should a decoder have been taken over."""
    facts = found.facts
    return bool(EXTENSION.fullmatch(facts.extension) and MIME_TYPE.fullmatch(facts.mime_type))


def _jpeg(answer: Found | Drawn) -> bytes | None:
    if answer.jpeg is not None:
        with suppress(binascii.Error):
            return base64.b64decode(answer.jpeg, validate=True)
    return None


def _refused(answer: Answer) -> BadMedia:
    if isinstance(answer, Refusal):
        return BadMedia(answer.message[:500], answer.hint[:200])
    return BadMedia("The file cannot be read: its decoder made no sense.", AGAIN)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
