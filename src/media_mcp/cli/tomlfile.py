"""Changes a setting in media-mcp.toml and leaves the rest, comments too, as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from media_mcp.errors import BadSettings
from media_mcp.speed import BUNDLE, Choice

EVERYONE = "default"  # the project whose settings stand at the top


def write_speed(file: Path, choice: Choice, project: str = EVERYONE) -> None:
    """Write a speed setting for a project; the file is made if it is not there.

    Raises `BadSettings` for a file that is no TOML or cannot be written.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        document: Any = tomlkit.parse(text)
        table = document
        if project != EVERYONE:
            projects = document.setdefault("projects", tomlkit.table(is_super_table=True))
            table = projects.setdefault(project, tomlkit.table())
        _put(table, choice)
        file.write_text(tomlkit.dumps(document), encoding="utf-8")
    except (TOMLKitError, OSError, ValueError, AttributeError) as error:
        raise BadSettings(f"{file} cannot be changed: {error}.", "Mend the file.") from None


def _put(table: Any, choice: Choice) -> None:
    import tomlkit

    if not choice.keys:
        if isinstance(table.get("speed"), dict):
            table.remove("speed")
        table["speed"] = choice.bundle
        return
    if "speed" in table:
        table.remove("speed")
    wanted = tomlkit.table()
    for name, value in {
        **({BUNDLE: choice.bundle} if choice.bundle else {}),
        **choice.keys,
    }.items():
        wanted[name] = value
    table["speed"] = wanted
