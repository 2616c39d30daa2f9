"""What a pull is told and what it tells: the words of `protocol`, on a pipe of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast, get_args

from media_mcp.worker import protocol
from media_mcp.worker.protocol import Failed

LIST, FETCH, CHECK = "list", "fetch", "check"


@dataclass(frozen=True, slots=True)
class Want:
    """A repository that a route needs. `role` says what for (`weights`, `lora`, …); `layout` which
    of its files: those of a `pipeline` of diffusers, of a `model` by itself, of an `adapter`."""

    repo: str
    role: str
    layout: str
    revision: str = "main"
    variant: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """Do `action` (LIST, FETCH or CHECK) for each want."""

    action: str
    wants: tuple[Want, ...]


@dataclass(frozen=True, slots=True)
class Listed:
    """What of a repository is needed: each path with its bytes, and which are not here yet.
    `licence` is the word that the hub has for it."""

    repo: str
    commit: str
    licence: str
    sizes: Mapping[str, int]
    absent: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fetching:
    """`done` bytes of `total` are here; `checking`: they are being compared with their digests."""

    repo: str
    done: int
    total: int
    checking: bool = False


@dataclass(frozen=True, slots=True)
class Here:
    """A repository lies whole in `folder`, but for what is `wrong`: paths, each with the reason."""

    repo: str
    folder: str
    files: int
    size: int
    wrong: Mapping[str, str]


FromPull = Listed | Fetching | Here | Failed
_FROM_PULL: Mapping[str, type] = {kind.__name__.lower(): kind for kind in get_args(FromPull)}
_TO_PULL: Mapping[str, type] = {"order": Order}


def encode(message: Order | FromPull) -> bytes:
    """Return the line of a message. Raises `ProtocolError`."""
    return protocol.encode(message)


def to_pull(line: bytes) -> Order:
    """Read an order. Raises `ProtocolError`."""
    return cast(Order, protocol.decode(line, _TO_PULL))


def from_pull(line: bytes) -> FromPull:
    """Read what a pull tells. Raises `ProtocolError`."""
    return cast(FromPull, protocol.decode(line, _FROM_PULL))
