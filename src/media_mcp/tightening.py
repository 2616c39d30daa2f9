"""Files of settings laid over each other, where of some rules the strictest counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_settings import BaseSettings, TomlConfigSettingsSource


@dataclass(frozen=True, slots=True)
class Scale:
    """How a rule's value is read, and its values, the strictest last."""

    kind: TypeAdapter[Any]
    order: Sequence[Any]


class Files(TomlConfigSettingsSource):
    """The user's own file, and over it that of the working folder.

    Whoever wrote that folder may keep more on this machine than the user does, and never less: of
    the rules in `orders`, each with its values, the strictest last, the stricter counts.
    """

    def __init__(self, settings: type[BaseSettings], orders: Mapping[str, Sequence[Any]]) -> None:
        fields = settings.model_fields
        self._scales = {
            name: Scale(TypeAdapter(fields[name].annotation or Any), order)
            for name, order in orders.items()
        }
        super().__init__(settings, deep_merge=True)

    def _read_files(self, files: Any, deep_merge: bool = False) -> dict[str, Any]:
        told = super()._read_files(files, deep_merge)
        read = [self._read_file(path) for path in self._existing_files(files)]
        tighten(told, read, self._scales)
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
            told[name] = max(values, key=scale.order.index)
