"""`media-mcp catalog sync`: brings a place's models, as they are now, into the user's catalog."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from media_mcp.backends.fal.platform import BASE_URL, PlatformClient
from media_mcp.catalog.cards import model_of
from media_mcp.catalog.changes import Change, Kind, changes, overlay
from media_mcp.catalog.endpoints import Lines, card, line_of, priced, read_lines, write_lines
from media_mcp.catalog.glossary import Glossary
from media_mcp.catalog.lock import lock
from media_mcp.catalog.openapi import record
from media_mcp.catalog.sources import shipped_folder
from media_mcp.cli.outcome import ExitCode, note
from media_mcp.cli.rooms import run_async
from media_mcp.cli.text import say
from media_mcp.errors import BackendFailed, BadCard, InvalidArguments, Problem, Refused
from media_mcp.settings import FILE_NAME

SHOWN = 40
_FEW_GONE, _SHARE_GONE = 20, 0.2
_NAMES: dict[Kind, str] = {
    "new": "new",
    "gone": "gone",
    "parameter": "parameters changed",
    "price": "prices changed",
    "fact": "facts changed",
}


@dataclass(frozen=True, slots=True)
class Order:
    """What to sync: from where, into which folder, for which backend.

    `forbidden` is the setting that forbids it, empty where none does.
    """

    source: str
    folder: Path
    backend: str
    key_variable: str
    dry_run: bool
    everything: bool
    retire: bool
    forbidden: str = ""


def sync_catalog(order: Order) -> int:
    """Fetch, compare, show and (unless it is a dry run) write.

    Raises `BackendFailed`, `Refused` where too many models are gone or the settings say `offline`,
    and `InvalidArguments` for a backend that cannot be meant.
    """
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,39}", order.backend):
        problem = Problem("--backend", f"{order.backend[:40]!r} is no name of a backend.")
        raise InvalidArguments([problem], "Name it like its folder of backend.toml: gpu-box.")
    if order.forbidden:
        raise Refused(
            f"{order.forbidden} = true forbids what leaves this machine.",
            f"Only {order.forbidden} in {FILE_NAME} can allow it.",
        )
    return run_async(partial(_sync, order))


async def _sync(order: Order) -> int:
    fresh = await fetch(order)
    path = order.folder / f"{order.backend}.jsonl"
    before = _of_backend(read_lines(shipped_folder() / path.name), order.backend)
    before |= _of_backend(read_lines(path), order.backend)
    found = changes(before, fresh)
    _show(found, order.everything)
    if not order.retire:
        _check_gone(found, len(before))
    if order.dry_run:
        note("Nothing was written: a dry run.")
        return ExitCode.OK
    laid = read_lines(path) | overlay(before, fresh)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_lines(path, laid)
    lock(path, order.source or BASE_URL, len(fresh))
    note(f"Wrote {len(laid)} models to {path}. A running server reads them at its next start.")
    return ExitCode.OK


async def fetch(order: Order) -> dict[str, dict[str, Any]]:
    """Return every model of the place as a line, with its price. What cannot be read is named."""
    lines: dict[str, dict[str, Any]] = {}
    today = datetime.now(UTC).date().isoformat()
    async with PlatformClient(order.source or BASE_URL, _key(order)) as client:
        async for model in client.models():
            line = _line(model, order.backend, today)
            if line is not None:
                lines[line["id"]] = line
        prices = await client.prices(sorted(lines))
    if not lines:
        raise BackendFailed(
            f"{order.source or BASE_URL} lists no model.",
            "Nothing was changed. Check the address and the key.",
        )
    return {name: priced(line, prices.get(name), today) for name, line in lines.items()}


def _line(model: Mapping[str, Any], backend: str, today: str) -> dict[str, Any] | None:
    """Return the line of a model, or None (with a note) for one that no catalog could hold."""
    name, document = str(model["endpoint_id"]), model.get("openapi")
    if not isinstance(document, dict) or "paths" not in document:
        note(f"{name[:80]!r}: its schema could not be had; left as it was.")
        return None
    told = model.get("metadata")
    line = line_of(record(document, told if isinstance(told, dict) else {}, name))
    line |= {"as_of": today} | ({} if backend == "fal" else {"backend": backend})
    try:
        model_of(card(line, Glossary({})), name)
    except (BadCard, LookupError, TypeError, ValueError) as error:
        note(f"{name[:80]!r}: cannot be read ({error}); left as it was.")
        return None
    return line


def _check_gone(found: Sequence[Change], known: int) -> None:
    """Half an answer must not retire a catalog. Raises `Refused`."""
    gone = sum(change.kind == "gone" for change in found)
    if gone > max(_FEW_GONE, known * _SHARE_GONE):
        raise Refused(
            f"{gone} of the {known} models known are not listed there any more; nothing was "
            "written.",
            "If that is right, sync again with --retire.",
        )


def _key(order: Order) -> str:
    """Return the key, which is fal's own only for fal's own address."""
    variable = order.key_variable or ("" if order.source else "FAL_KEY")
    return os.environ.get(variable, "") if variable else ""


def _of_backend(lines: Lines, backend: str) -> dict[str, dict[str, Any]]:
    own = (line for line in lines.values() if line.get("backend", "fal") == backend)
    return {line["id"]: dict(line) for line in own}


def _show(found: Sequence[Change], everything: bool) -> None:
    counts = Counter(change.kind for change in found)
    told = ", ".join(f"{counts[kind]} {words}" for kind, words in _NAMES.items() if counts[kind])
    say(told or "Nothing changed.")
    shown = found if everything else found[:SHOWN]
    for change in shown:
        say(f"  {change.kind:9} {change.model}: {change.words}")
    if len(shown) < len(found):
        say(f"  … and {len(found) - len(shown)} more: --all shows them.")
