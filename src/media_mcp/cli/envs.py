"""`media-mcp env …`: the Python environments that places on this machine have for themselves."""

from __future__ import annotations

from typing import TypeAlias

from media_mcp.backends.instances import configured, instance
from media_mcp.backends.local.configuration import Configuration, configuration
from media_mcp.backends.local.environments import Environment
from media_mcp.backends.local.installer import create, missing_in
from media_mcp.cli.outcome import ExitCode, note
from media_mcp.cli.result import bytes_words
from media_mcp.cli.text import clean, say, say_json
from media_mcp.errors import BadSettings, NotConfigured, did_you_mean
from media_mcp.job import JSON
from media_mcp.settings import Settings

_Found: TypeAlias = tuple[Configuration, Environment] | BadSettings


def create_env(settings: Settings, name: str) -> int:
    """Show the profile's notice, and make the environment."""
    place, environment = _of(settings, name)
    if environment.profile.notice:
        note(clean(environment.profile.notice.strip()))
    create(environment, place.needs, lambda line: note(clean(line)))
    say(f"{name} is ready: {environment.folder}, {bytes_words(environment.size())}")
    return ExitCode.OK


def list_envs(settings: Settings, as_json: bool) -> int:
    """Tell of each place with an environment of its own whether that is made.

    A place whose file cannot be read is listed with what is wrong with it.
    """
    rows = [_row(name, found) for name, found in _found(settings).items()]
    if as_json:
        say_json(rows)
    elif not rows:
        say("No place has an environment of its own.")
    else:
        width = max(len(row["name"]) for row in rows)
        for row in rows:
            size = f", {bytes_words(row['bytes'])}" if row["bytes"] else ""
            say(f"{row['name'].ljust(width)}  {row['state']}{size}  {row['folder'] or row['fix']}")
    return ExitCode.OK


def _row(name: str, found: _Found) -> dict[str, JSON]:
    if isinstance(found, BadSettings):
        row = dict.fromkeys(("python", "bytes", "folder"))
        return {"name": name, "state": "cannot be read", **row, "fix": clean(str(found))}
    _, environment = found
    return {
        "name": name,
        "state": environment.state,
        "python": environment.marker().get("python"),
        "bytes": environment.size(),
        "folder": str(environment.folder),
        "fix": environment.readiness().fix,
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
    """Return a place with its environment.

    Raises `NotConfigured` for one that has none, and `BadSettings` where its file is wrong.
    """
    found = _found(settings)
    if name not in found:
        hint = did_you_mean(name, list(found)) or f"These have one: {', '.join(found) or 'none'}."
        raise NotConfigured(f"No place {name[:40]!r} has an environment of its own.", hint)
    if isinstance(told := found[name], BadSettings):
        raise told
    return told


def _found(settings: Settings) -> dict[str, _Found]:
    """Return the places with an environment, and what is wrong with those that nobody can read."""
    looked = {name: _look(settings, name) for name in configured()}
    return {name: found for name, found in looked.items() if found is not None}


def _look(settings: Settings, name: str) -> _Found | None:
    try:
        told = instance(name)
        if told is None or told.kind != "local":
            return None
        place = configuration(told, settings)
    except BadSettings as error:
        return error
    return (place, place.own) if place.own is not None else None
