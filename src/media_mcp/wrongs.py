"""What is said of a wrong setting."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from media_mcp.errors import BadSettings, did_you_mean

LONGEST = 200  # characters of a wrong value that are shown


def readable(
    error: ValidationError, settings: type[BaseModel], file: str, secrets: Collection[str]
) -> BadSettings:
    """Return the first fault in words: where it is, what was given, and what may stand there."""
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    given = "something secret" if name in secrets else _repr(first.get("input"))
    near = _near(first["loc"], settings) if first["type"] == "extra_forbidden" else ""
    return BadSettings(
        f"Setting {name}: {first['msg'].removeprefix('Value error, ')} (given: {given}).",
        f"{near and near + ' '}Set it in {file}, as "
        f"MEDIA_MCP_{name.partition('.')[0].upper()} or by its flag.",
    )


def _repr(given: Any) -> str:
    """Show a value, whatever it is."""
    try:
        shown = repr(given)
    except (ValueError, RecursionError):  # an integer of thousands of digits, say
        return "something too large to show"
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}…"


def _near(place: Sequence[int | str], settings: type[BaseModel]) -> str:
    """Name what comes near to a name that is not known, of what may stand in its table."""
    table: Any = settings
    for part in place[:-1]:
        field = getattr(table, "model_fields", {}).get(part)
        kinds = [table] if field is None else [field.annotation, *get_args(field.annotation)]
        table = next((kind for kind in kinds if hasattr(kind, "model_fields")), None)
    return did_you_mean(str(place[-1]), [*getattr(table, "model_fields", {})])
