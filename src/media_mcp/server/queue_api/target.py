"""What a request is meant for: which of fal's hosts, and which path there.

One server plays all of them. They are told apart by the Host header (`queue.fal.run`), by the first
part of the path (`/queue/…`) or by the header `x-fal-target-url`, in which a client that goes
through a proxy names the address that it means.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias
from urllib.parse import unquote, urlsplit

from media_mcp.errors import BadInput

Place: TypeAlias = Literal["queue", "run", "rest", "cdn", "api"]
Headers: TypeAlias = Mapping[bytes, bytes]

FAL_HOSTS: Mapping[str, Place] = {
    "queue.fal.run": "queue",
    "queue.falrun.com": "queue",
    "fal.run": "run",
    "falrun.com": "run",
    "ws.fal.run": "run",
    "rest.fal.ai": "rest",
    "rest.alpha.fal.ai": "rest",
    "v3.fal.media": "cdn",
    "v3b.fal.media": "cdn",
    "api.fal.ai": "api",
}
_MEDIA_HOST = "v3.fal.media"
_LABELS: Mapping[str, Place] = {
    "queue": "queue",
    "run": "run",
    "rest": "rest",
    "cdn": "cdn",
    "api": "api",
}
_PREFIXES: Mapping[str, Place] = {"queue": "queue", "run": "run", "rest": "rest", "cdn": "cdn"}
_OURS: Mapping[str, Place] = {"files": "cdn", ".well-known": "rest"}  # kept in the path
_OTHER_DOORS = frozenset({"", "mcp", "health", "v1", "proxy"})
_LOCAL = ("127.0.0.1", "localhost", "[::1]")


class NoTarget(BadInput):
    """`x-fal-target-url` is missing at the proxy's address."""

    code = "bad_request"


class BadTarget(BadInput):
    """`x-fal-target-url` names no place that we play."""

    code = "bad_target"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes.

    `path` has no slash at either end and `query` no question mark. `base` is the address of the
    place as the client sees it, for links in answers; `origin` is scheme and host under which files
    and uploads can be reached without a proxy in between. Neither ends in a slash.
    """

    place: Place
    path: str
    query: str
    base: str
    origin: str


def target_of(
    scheme: str, path: str, query: str, headers: Headers, *, calls: bool
) -> Target | None:
    """Return what a request is meant for, or None if another door takes it.

    Raises `BadTarget` and `NoTarget`.

    `calls` says whether it may call a model where the path names no place (a POST to
    `/fal-ai/flux/dev`): to those who only redirect `fal.run`, this whole host is that one.
    """
    host = headers.get(b"host", b"").decode("latin-1").lower()
    origin = _origin(scheme, host)
    named = headers.get(b"x-fal-target-url")
    if named is not None:
        return _named(named.decode("latin-1"), origin)
    if path.strip("/") == "proxy":
        raise NoTarget("The header x-fal-target-url is missing.", "It names fal's own address.")
    found = _resolve(scheme, host, path, query, origin)
    if found is None and calls and path.split("/", 2)[1] not in _OTHER_DOORS:
        return Target("run", path.strip("/"), query, f"{scheme}://{host}", origin)
    return found


def place_of_host(host: str) -> Place | None:
    """Return the place that a host name, with or without a port, stands for."""
    place = FAL_HOSTS.get(host)
    if place is not None:
        return place
    name = host.partition(":")[0]
    label, _, rest = name.partition(".")
    return FAL_HOSTS.get(name) or (_LABELS.get(label) if rest == "localhost" else None)


def _resolve(scheme: str, host: str, path: str, query: str, origin: str) -> Target | None:
    place = place_of_host(host)
    if place is not None:
        return Target(place, path.strip("/"), query, f"{scheme}://{host}", origin)
    first, _, rest = path.lstrip("/").partition("/")
    place = _PREFIXES.get(first)
    if place is not None:
        return Target(place, rest.strip("/"), query, f"{scheme}://{host}/{first}", origin)
    place = _OURS.get(first)
    return place and Target(place, path.strip("/"), query, f"{scheme}://{host}", origin)


def _named(url: str, origin: str) -> Target:
    try:
        parts = urlsplit(url)
        host = parts.netloc.lower()
    except ValueError:
        raise _no_place(url) from None
    if parts.scheme not in ("http", "https") or "@" in host:
        raise _no_place(url)
    ours = place_of_host(host) is not None or _is_local(host) or origin.endswith(f"//{host}")
    found = _resolve(parts.scheme, host, unquote(parts.path), parts.query, origin) if ours else None
    if found is None:
        raise _no_place(url)
    return found


def _is_local(host: str) -> bool:
    return host.rpartition(":")[0] in _LOCAL or host in _LOCAL


def _no_place(url: str) -> BadTarget:
    return BadTarget(
        f"x-fal-target-url names no address that this server plays: {url[:200]!r}.",
        f"Known hosts: {', '.join(FAL_HOSTS)}.",
    )


def _origin(scheme: str, host: str) -> str:
    """Return where files lie; behind a name that only stands for one place, beside that."""
    if host.partition(":")[0] in FAL_HOSTS:
        return f"{scheme}://{_MEDIA_HOST}"
    label, dot, rest = host.partition(".")
    if dot and label in _LABELS and rest.partition(":")[0] == "localhost":
        return f"{scheme}://{rest}"
    return f"{scheme}://{host}"
