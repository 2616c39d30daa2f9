"""What leads from a call to all that is done for it: its request id, and the caller's trace.

Both are plain texts that a job keeps, so that they outlive the process; `here` is that of whatever
runs at the moment.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

LONGEST = 128
_ID = re.compile(rf"[A-Za-z0-9._:/+=@~-]{{1,{LONGEST}}}", re.ASCII)
_TRACE = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Trail:
    """`request` is the id of a call (at most 128 letters, digits and `._:/+=@~-`), and `trace` the
    W3C traceparent of what it is a part of; either may be empty."""

    request: str = ""
    trace: str = ""

    def headers(self) -> dict[str, str]:
        """Return the headers that tell another server of it."""
        told = {"X-Request-Id": self.request, "traceparent": self.trace}
        return {name: value for name, value in told.items() if value}


_here: ContextVar[Trail] = ContextVar("media_mcp_trail", default=Trail())  # noqa: B039 (frozen)


def here() -> Trail:
    """Return the trail of what runs now; an empty one if nobody asked for it."""
    return _here.get()


@contextmanager
def on(trail: Trail) -> Iterator[None]:
    """Do what is within on a trail."""
    token = _here.set(trail)
    try:
        yield
    finally:
        _here.reset(token)


def of_headers(headers: Mapping[bytes, bytes]) -> Trail:
    """Return the trail that a request names; an id that is none, or missing, is made."""
    given = headers.get(b"x-request-id", b"").decode("latin-1").strip()
    trace = headers.get(b"traceparent", b"").decode("latin-1").strip()
    known = given if _ID.fullmatch(given) else new_id()
    return Trail(known, trace if _TRACE.fullmatch(trace) else "")


def named(trail: Trail) -> Trail:
    """Return a trail with a request id: that of a call by a door that knows of none is made."""
    return trail if trail.request else replace(trail, request=new_id())


def new_id() -> str:
    """Return a request id that no other has."""
    return secrets.token_hex(16)
