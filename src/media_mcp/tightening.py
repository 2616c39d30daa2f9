"""Files of settings laid over each other, where of some rules the strictest counts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_settings import BaseSettings, TomlConfigSettingsSource

log = logging.getLogger(__name__)

Strictness = Callable[[Any], Any]  # of two values, the one for which it is greater counts
AMOUNTS = ("budget", "limits", "models", "backends")  # tables: the smallest counts
# What a file that came with a folder must not say: the user's own word stands, or the default.
OWN = frozenset(
    {
        "allow_private_urls",
        "allow_remote_code",
        "allow_hub_loras",
        "worker_python",
        "oauth",
        "data_dir",  # where the keys are, and the ledger that budgets are counted by
        "fal_key",  # whose owner sees what is sent there
        "catalog_dirs",
        "proxies",
        "retention",
    }
)
MINE = frozenset({"api_key", "licences"})  # what it may say only where the user says nothing
MOST_BYTES = 2**16  # of a file; the parser takes seconds for some
MOST_DEEP = 16
# But of these only the user's own count, who limits what is spent.
FIRST = ("usd_if_unknown", "gpu_seconds_if_unknown")
BUDGETS = ("budget", "projects", "callers")  # what such limits are part of


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
        self._usual = {name: fields[name].get_default() for name in strictness}
        self._own: dict[str, Any] = {}
        super().__init__(settings, deep_merge=True)

    def _read_files(self, files: Any, deep_merge: bool = False) -> dict[str, Any]:
        told = super()._read_files(files, deep_merge)
        read = [self._read_file(path) for path in self._existing_files(files)]
        has_own = Path(files[0]).is_file()
        own = self._own = read[0] if has_own else {}
        _keep_own(told, own, self._scales)
        tighten(told, [self._usual | own, *read[has_own:]], self._scales)
        _least(told, read)
        _own_weights(told, own)
        return told

    def __call__(self) -> dict[str, Any]:
        told = super().__call__()
        if any(name in self._own or name in self.current_state for name in BUDGETS):
            _keep_first(told, self._own)
        return told

    def _read_file(self, file_path: Path | Traversable) -> dict[str, Any]:
        """Read one file. Raises `ValueError` with words."""
        if Path(str(file_path)).stat().st_size > MOST_BYTES:
            raise ValueError(f"it is larger than {MOST_BYTES:,} bytes")
        try:
            told = super()._read_file(file_path)
            if not _deeper(told, MOST_DEEP):
                return told
        except RecursionError:
            pass
        raise ValueError(f"it nests more than {MOST_DEEP} deep")


def _deeper(value: Any, levels: int) -> bool:
    """Tell whether tables and lists lie more than so many levels deep in each other."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels < 0 or any(_deeper(one, levels - 1) for one in inner)


def _keep_own(told: dict[str, Any], own: Mapping[str, Any], scales: Mapping[str, Scale]) -> None:
    """Take out of `told` what only the user may say, and what opens more than they do."""
    for name in sorted(OWN & told.keys() - own.keys()):
        _pass_over(name)
        del told[name]
    for name in sorted((OWN | MINE) & own.keys() - scales.keys()):
        if told[name] != own[name]:
            _pass_over(name)
        told[name] = own[name]
    for project, table in _tables(told).items():
        for name in MINE & table.keys():
            table[name] = _said(own, project, name) or table[name]
    if isinstance(told.get("roots"), list) and told["roots"] != own.get("roots"):
        _narrow(told, own.get("roots", []))


def _keep_first(told: dict[str, Any], own: Mapping[str, Any]) -> None:
    """Let only what `own` says of `FIRST` stand, in tables within tables, too."""
    for name, value in list(told.items()):
        said = own.get(name)
        if isinstance(value, dict):
            _keep_first(value, said if isinstance(said, dict) else {})
        elif name in FIRST and value != said:
            _pass_over(name)
            told.pop(name)
            told |= {} if said is None else {name: said}


def _narrow(told: dict[str, Any], own: Sequence[Any]) -> None:
    """Let a working folder's file open what lies in that folder, or below the user's own roots."""
    places = [Path.cwd(), *(Path(root).expanduser() for root in own if isinstance(root, str))]
    real = [place.resolve() for place in places]
    kept = [root for root in told["roots"] if _inside(root, real)]
    if len(kept) < len(told["roots"]):
        _pass_over("roots outside it")
    told["roots"] = kept or list(own)


def _inside(root: Any, places: Sequence[Path]) -> bool:
    try:
        real = Path(root).expanduser().resolve()
    except (TypeError, ValueError, OSError, RuntimeError):
        return True  # no path: for the validation to say so
    return any(real.is_relative_to(place) for place in places)


def _pass_over(name: str) -> None:
    log.warning("%s in a working folder's file is passed over: set it in your own.", name)


def tighten(
    told: dict[str, Any], files: Sequence[Mapping[str, Any]], scales: Mapping[str, Scale]
) -> None:
    """Let the strictest of what `files` say count in `told`, also in the tables of projects."""
    for name, scale in scales.items():
        _strictest(told, name, [_said(file, "", name) for file in files], scale)
        for project, table in _tables(told).items():
            _strictest(table, name, [_said(file, project, name) for file in files], scale)


def _tables(file: Mapping[str, Any], kind: str = "projects") -> dict[str, dict[str, Any]]:
    tables = file.get(kind)
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


def _own_weights(told: dict[str, Any], own: Mapping[str, Any]) -> None:
    """Pass over weights that are not the user's own: a greater one takes from the others."""
    users = _tables(own, "callers")
    for name, table in _tables(told, "callers").items():
        mine = users.get(name, {}).get("weight")
        if "weight" in table and table.pop("weight") != mine:
            _pass_over(f"callers.{name}.weight")
        if mine is not None:
            table["weight"] = mine


def _smallest(told: dict[str, Any], tables: Sequence[Mapping[str, Any]]) -> None:
    for name in list(told):
        said = [table[name] for table in tables if name in table]
        if isinstance(told[name], dict):
            _smallest(told[name], [table for table in said if isinstance(table, dict)])
        elif name not in FIRST and all(_is_amount(value) for value in said):
            told[name] = min(said)


def _is_amount(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
