"""`media-mcp env …`: the Python environments that places on this machine have for themselves."""

from __future__ import annotations

from collections.abc import Iterator

from media_mcp.backends.instances import configured, instance
from media_mcp.backends.local.configuration import Configuration, configuration
from media_mcp.backends.local.environments import Environment
from media_mcp.backends.local.installer import create, missing_in
from media_mcp.cli.outcome import ExitCode, note
from media_mcp.cli.result import bytes_words
from media_mcp.cli.text import clean, say, say_json
from media_mcp.errors import NotConfigured, did_you_mean
from media_mcp.job import JSON
from media_mcp.settings import Settings


def create_env(settings: Settings, name: str) -> int:
    """Show the profile's notice, and make the environment."""
    place, environment = _of(settings, name)
    if environment.profile.notice:
        note(clean(environment.profile.notice.strip()))
    create(environment, place.needs, lambda line: note(clean(line)))
    say(f"{name} is ready: {environment.folder}, {bytes_words(environment.size())}")
    return ExitCode.OK


def list_envs(settings: Settings, as_json: bool) -> int:
    """Tell of each place with an environment of its own whether that is made."""
    rows = [_row(environment) for _, environment in _all(settings)]
    if as_json:
        say_json(rows)
    elif not rows:
        say("No place has an environment of its own.")
    else:
        width = max(len(row["name"]) for row in rows)
        for row in rows:
            size = f", {bytes_words(row['bytes'])}" if row["bytes"] else ""
            say(f"{row['name'].ljust(width)}  {row['state']}{size}  {row['folder']}")
    return ExitCode.OK


def _row(environment: Environment) -> dict[str, JSON]:
    told = environment.readiness()
    return {
        "name": environment.name,
        "state": environment.state,
        "python": environment.marker().get("python"),
        "bytes": environment.size(),
        "folder": str(environment.folder),
        "fix": told.fix,
    }


def remove_env(settings: Settings, name: str) -> int:
    """Remove the environment with all that is installed in it."""
    _, environment = _of(settings, name)
    with environment.alone():
        there = environment.remove()
    say(f"{name}: removed." if there else f"{name}: there was none.")
    return ExitCode.OK


def check_env(settings: Settings, name: str) -> int:
    """Say whether the environment is whole; 1 if it is not. Raises `NotConfigured` for none."""
    place, environment = _of(settings, name)
    told = environment.readiness()
    if not told.ready:
        raise NotConfigured(f"{name}: {told.reason}", told.fix)
    missing = missing_in(environment, place.needs)
    if missing:
        raise NotConfigured(
            f"{name}: it lacks {', '.join(missing)}.", f"Run: media-mcp env create {name}"
        )
    say(f"{name} is whole: Python {environment.marker()['python']}, {', '.join(place.needs)}")
    return ExitCode.OK


def _of(settings: Settings, name: str) -> tuple[Configuration, Environment]:
    """Return a place with its environment. Raises `NotConfigured` for one that has none."""
    found = {environment.name: (place, environment) for place, environment in _all(settings)}
    if name not in found:
        hint = did_you_mean(name, list(found)) or f"These have one: {', '.join(found) or 'none'}."
        raise NotConfigured(f"No place {name[:40]!r} has an environment of its own.", hint)
    return found[name]


def _all(settings: Settings) -> Iterator[tuple[Configuration, Environment]]:
    for name in configured():
        told = instance(name)
        if told is None or told.kind != "local":
            continue
        place = configuration(told, settings)
        if place.own is not None:
            yield place, place.own
