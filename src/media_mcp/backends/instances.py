"""The places that jobs run at, as folders describe them: ours, and the user's laid over them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from media_mcp.errors import BadSettings
from media_mcp.job import JSON
from media_mcp.settings import config_dir

FILE_NAME = "backend.toml"
NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Instance:
    """A place by its name: what its `backend.toml` says, and which file that is."""

    name: str
    told: Mapping[str, JSON] = field(default_factory=dict)
    path: Path = Path(FILE_NAME)

    @property
    def kind(self) -> str:
        """The kind of backend that speaks to it; its own name unless it says another."""
        return str(self.told.get("kind", self.name))


def shipped_folder() -> Path:
    """Return the folder of our own: beside the code in a checkout, inside it in a wheel."""
    package = Path(__file__).resolve().parents[1]
    in_place = package.parents[1] / "backends"
    return in_place if (in_place / "local" / FILE_NAME).is_file() else package / "data" / "backends"


def configured() -> list[str]:
    """Return the names of every place that a folder describes."""
    found = {path.parent.name for folder in _folders() for path in folder.glob(f"*/{FILE_NAME}")}
    return sorted(name for name in found if NAME.fullmatch(name))


def instance(name: str) -> Instance | None:
    """Return what the folders say of the place called `name`; the user's word counts, key by key.

    None if there is no such folder. Raises `BadSettings` for a file that cannot be read.
    """
    paths = [folder / name / FILE_NAME for folder in _folders()]
    there = [path for path in paths if NAME.fullmatch(name) and path.is_file()]
    if not there:
        return None
    told: dict[str, JSON] = {}
    for path in there:
        told |= _read(path)
    if told.setdefault("name", name) != name:
        raise BadSettings(
            f"{there[-1]}: the name is {told['name']!r}, but the folder's is {name!r}.",
            "Leave `name` out, or write the folder's.",
        )
    return Instance(name, told, there[-1])


def _folders() -> tuple[Path, ...]:
    return shipped_folder(), config_dir() / "backends"


def _read(path: Path) -> dict[str, JSON]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadSettings(f"{path} cannot be read: {error}.", "Mend the file.") from None
    except RecursionError:
        raise BadSettings(f"{path} cannot be read: it nests too deeply.", "Mend it.") from None
