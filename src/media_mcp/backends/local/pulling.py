"""Runs a pull: a short-lived process in the worker's Python, which has the hub's library."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from subprocess import DEVNULL, PIPE
from typing import cast

import anyio
from anyio.abc import ByteReceiveStream, ByteSendStream, Process

from media_mcp.backends.instances import Instance, instance
from media_mcp.backends.local.configuration import configuration
from media_mcp.backends.local.installed import Installation
from media_mcp.backends.local.process import BOOTSTRAP
from media_mcp.backends.local.wire import to_error
from media_mcp.errors import NotConfigured
from media_mcp.settings import Settings
from media_mcp.worker import orders
from media_mcp.worker.orders import Fetching, FromPull, Here, Listed, Order, Want
from media_mcp.worker.protocol import Failed, Lines, ProtocolError

__all__ = ["Fetching", "Here", "Listed", "Puller", "Want", "is_local"]
KIND = "local"
TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")  # a pull may use them; a worker never sees them

Hear = Callable[[Fetching], object]


def is_local(backend: str) -> bool:
    """Whether a backend is a place of kind local."""
    return (instance(backend) or Instance(backend)).kind == KIND


class Puller:
    """Lists, fetches and checks weights with the Python of a place of kind local."""

    def __init__(self, backend: str, settings: Settings) -> None:
        place = configuration(instance(backend) or Instance(backend), settings)
        self._installed = Installation(place.worker_python, ("huggingface_hub",), KIND)

    async def listed(self, wants: Sequence[Want]) -> list[Listed]:
        """Ask the hub what of these repositories is needed. Fetches nothing."""
        told = [one async for one in self._messages(orders.LIST, wants)]
        return [one for one in told if isinstance(one, Listed)]

    async def fetched(self, wants: Sequence[Want], hear: Hear) -> list[Here]:
        """Fetch what is absent, and compare it with its digests."""
        return await self._places(orders.FETCH, wants, hear)

    async def checked(self, wants: Sequence[Want], hear: Hear) -> list[Here]:
        """Compare what is here with its digests; what is wrong is removed. Asks no hub."""
        return await self._places(orders.CHECK, wants, hear)

    async def _places(self, action: str, wants: Sequence[Want], hear: Hear) -> list[Here]:
        found = []
        async for told in self._messages(action, wants):
            if isinstance(told, Here):
                found.append(told)
            elif isinstance(told, Fetching):
                hear(told)
        return found

    async def _messages(self, action: str, wants: Sequence[Want]) -> AsyncIterator[FromPull]:
        """Give one order and yield what comes. Raises the errors that it met."""
        async with self._process() as process:
            commands = cast(ByteSendStream, process.stdin)
            await commands.send(orders.encode(Order(action, tuple(wants))))
            lines = Lines()
            async for data in cast(ByteReceiveStream, process.stdout):
                for line in lines.feed(data):
                    yield _read(line)
            if await process.wait() != 0:
                raise NotConfigured(
                    "The process that fetches weights ended too early.",
                    "Pull again: it goes on where it stopped.",
                )

    @asynccontextmanager
    async def _process(self) -> AsyncIterator[Process]:
        ours = dict(os.environ)
        told = {name: ours[name] for name in TOKENS if name in ours}
        python = self._installed.python
        try:
            process = await anyio.open_process(
                [python, "-P", str(BOOTSTRAP), "pull"],
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                env=self._installed.environment(ours) | told,
                start_new_session=True,  # Ctrl-C is ours to handle
            )
        except OSError as error:
            raise NotConfigured(
                f"worker_python {python!r} cannot be started: {error.strerror}.",
                "Set worker_python to a Python that is there, or empty it.",
            ) from None
        try:
            yield process
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            with anyio.CancelScope(shield=True):
                await process.aclose()


def _read(line: bytes) -> FromPull:
    try:
        message = orders.from_pull(line)
    except ProtocolError as error:
        raise NotConfigured(
            f"The process that fetches weights says what is no message: {error}",
            "Use the same media-mcp for the worker's Python.",
        ) from None
    if isinstance(message, Failed):
        raise to_error(message)
    return message
