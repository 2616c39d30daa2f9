"""`media-mcp keys`: who may call over HTTP."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from media_mcp.cli.outcome import ExitCode, note
from media_mcp.cli.text import say, say_json, table
from media_mcp.errors import InvalidArguments, Problem
from media_mcp.job import JSON, Scope
from media_mcp.server.keyring import Key, KeyRing
from media_mcp.settings import PROJECT, Settings

_DAY = 86_400.0


def create(
    settings: Settings,
    owner: str,
    scope: Scope,
    days: float | None,
    project: str | None,
    as_json: bool,
) -> int:
    """Make a key and print it. Raises `InvalidArguments`, `StorageFailed`."""
    if project is not None and not re.fullmatch(PROJECT, project):
        words = f"{project[:80]!r} is no name of a project."
        raise InvalidArguments([Problem("project", words)], "Use letters, digits and . _ -")
    seconds = days * _DAY if days is not None else None
    key, text = KeyRing(settings.data_dir).create(owner, scope, seconds, project)
    if as_json:
        say_json(_facts(key) | {"key": text})
    else:
        say(text)
        note(f"This is shown once. Send it as `Authorization: Key …` or `Bearer …`; it is {owner}.")
    return ExitCode.OK


def show(settings: Settings, as_json: bool) -> int:
    """Print the keys that there are."""
    keys = KeyRing(settings.data_dir).keys()
    if as_json:
        say_json([_facts(key) for key in keys])
    elif keys:
        head = ("ID", "CALLER", "SCOPE", "PROJECT", "MADE", "EXPIRES")
        table(head, [_cells(key) for key in keys])
    else:
        say("No keys.")
    return ExitCode.OK


def revoke(settings: Settings, name: str, as_json: bool) -> int:
    """Revoke keys and print which. Raises `NotFound`."""
    gone = KeyRing(settings.data_dir).revoke(name)
    if as_json:
        say_json([_facts(key) for key in gone])
    else:
        for key in gone:
            say(f"{key.id}  {key.owner}  revoked")
    return ExitCode.OK


def _facts(key: Key) -> dict[str, JSON]:
    return {
        "id": key.id,
        "caller": key.owner,
        "scope": key.scope,
        "project": key.project,
        "created": _time(key.created_at),
        "expires": None if key.expires_at is None else _time(key.expires_at),
    }


def _cells(key: Key) -> tuple[str, ...]:
    return tuple("" if value is None else str(value) for value in _facts(key).values())


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
