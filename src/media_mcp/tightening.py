"""Files of settings laid over each other, where of some rules the strictest counts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_settings import BaseSettings, TomlConfigSettingsSource

log = logging.getLogger(__name__)

Strictness = Callable[[Any], Any]  # of two values, the one for which it is greater counts
AMOUNTS = ("budget", "limits")  # tables of amounts, of which the smallest counts
# What a file that came with a folder must not allow: its default, which is to forbid, stands.
OWN = frozenset({"allow_private_urls", "allow_remote_code", "allow_hub_loras", "worker_python"})
FIRST = "usd_if_unknown"  # but this one: what the user's own table leaves out stays left out


@dataclass(frozen=True, slots=True)
class Scale:
    """How a rule's value is read, and how strict it is."""

    kind: TypeAdapter[Any]
    strictness: Strictness


class Files(TomlConfigSettingsSource):
    """The user's own file, and over it that of the working folder.

    Whoever wrote that folder may keep more on this machine, and spend less, than the user does, and
    never the other way round: of the rules in `strictness` the stricter counts, and of amounts in
    the tables `AMOUNTS` the smaller. What `OWN` names, only the user's own file, a flag or the
    environment can allow.
    """

    def __init__(self, settings: type[BaseSettings], strictness: Mapping[str, Strictness]) -> None:
        fields = settings.model_fields
        self._scales = {
            name: Scale(TypeAdapter(fields[name].annotation or Any), key)
            for name, key in strictness.items()
        }
        super().__init__(settings, deep_merge=True)

    def _read_files(self, files: Any, deep_merge: bool = False) -> dict[str, Any]:
        told = super()._read_files(files, deep_merge)
        read = [self._read_file(path) for path in self._existing_files(files)]
        own = self._read_file(Path(files[0])) if Path(files[0]).is_file() else {}
        for name in sorted(OWN & told.keys() - own.keys()):
            log.warning("%s in a working folder's file is passed over: set it in your own.", name)
            del told[name]
        tighten(told, read, self._scales)
        _least(told, read)
        return told


def tighten(
    told: dict[str, Any], files: Sequence[Mapping[str, Any]], scales: Mapping[str, Scale]
) -> None:
    """Let the strictest of what `files` say count in `told`, also in the tables of projects."""
    for name, scale in scales.items():
        _strictest(told, name, [_said(file, "", name) for file in files], scale)
        for project, table in _tables(told).items():
            _strictest(table, name, [_said(file, project, name) for file in files], scale)


def _tables(file: Mapping[str, Any]) -> Mapping[str, Any]:
    tables = file.get("projects")
    if not isinstance(tables, dict):
        return {}
    return {name: table for name, table in tables.items() if isinstance(table, dict)}


def _said(file: Mapping[str, Any], project: str, name: str) -> Any:
    """Return what a file says of a rule, for a project where it has one; None if nothing."""
    return _tables(file).get(project, {}).get(name, file.get(name))


def _strictest(told: dict[str, Any], name: str, said: Sequence[Any], scale: Scale) -> None:
    """Set the strictest value; what is no value at all is left to the validation."""
    with suppress(ValidationError):
        if name in told:
            values = [scale.kind.validate_python(value) for value in said if value is not None]
            told[name] = max(values, key=scale.strictness)


def _least(told: dict[str, Any], files: Sequence[Mapping[str, Any]]) -> None:
    """Let the smallest amount count in `told`, in tables within tables, too."""
    for name, table in told.items():
        if not isinstance(table, dict):
            continue
        inner = [file[name] for file in files if isinstance(file.get(name), dict)]
        if name in AMOUNTS:
            _smallest(table, inner)
        else:
            _least(table, inner)


def _smallest(told: dict[str, Any], tables: Sequence[Mapping[str, Any]]) -> None:
    for name in list(told):
        said = [table[name] for table in tables if name in table]
        if name == FIRST and len(tables) > 1:
            told.pop(name)
            told |= {name: tables[0][name]} if name in tables[0] else {}
        elif all(_is_amount(value) for value in said):
            told[name] = min(said)


def _is_amount(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
