"""What is kept: `media-mcp gc` removes, `media-mcp assets` lists and pins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from media_mcp.catalog.catalog import Catalog
from media_mcp.cli.outcome import ExitCode
from media_mcp.cli.result import bytes_words
from media_mcp.cli.rooms import reading, run_async
from media_mcp.cli.text import say, say_json, table
from media_mcp.job import JSON, Caller
from media_mcp.settings import Settings

if TYPE_CHECKING:
    from media_mcp.media.leftovers import Leftover
    from media_mcp.queue import Queue
    from media_mcp.queue.holdings import Holding

Cells = tuple[str, str, str, str]


def collect(settings: Settings, dry: bool, as_json: bool) -> int:
    """Remove what may go and print it; `dry`: only print."""
    return run_async(partial(_collect, settings, dry, as_json))


async def _collect(settings: Settings, dry: bool, as_json: bool) -> int:
    async with reading(settings, Catalog(())) as queue:
        collector = queue.keeping.collector
        if not dry:
            await collector.mend()
        went = [held async for held in collector.collect(collector.bounds, dry=dry)]
        left = [each async for each in collector.leftovers(dry=dry)]
    size = sum(held.size for held in went) + sum(each.size for each in left)
    if as_json:
        say_json(
            {
                "dry_run": dry,
                "bytes": size,
                "assets": [_facts(held) for held in went],
                "leftovers": [_left(each) for each in left],
            }
        )
        return ExitCode.OK
    _print(went, left)
    verb = "Would free" if dry else "Freed"
    say(f"{verb} {bytes_words(size)}: {len(went)} assets, {len(left)} leftovers.")
    if not collector.bounds:
        say("No asset goes by age or size: set [retention], or give --age 30d or --size 50GB.")
    return ExitCode.OK


def _print(went: Sequence[Holding], left: Sequence[Leftover]) -> None:
    if went:
        table(("ASSET", "OWNER", "LAST USED", "SIZE"), [_cells(held) for held in went])
    for what, count in Counter(each.what for each in left).items():
        size = sum(each.size for each in left if each.what == what)
        say(f"{what}: {count}, {bytes_words(size)}")


def show(settings: Settings, owner: str | None, pinned: bool, limit: int, as_json: bool) -> int:
    """Print what an owner holds, or everybody."""
    return run_async(partial(_show, settings, owner, pinned, limit, as_json))


async def _show(
    settings: Settings, owner: str | None, pinned: bool, limit: int, as_json: bool
) -> int:
    async with reading(settings, Catalog(())) as queue:
        held = await queue.keeping.listed(owner, pinned=pinned, limit=limit)
    if as_json:
        say_json([_facts(each) for each in held])
    elif held:
        head = ("ASSET", "OWNER", "LAST USED", "SIZE", "")
        table(head, [(*_cells(each), _standing(each)) for each in held])
    else:
        say("No assets.")
    return ExitCode.OK


def pin(settings: Settings, names: Sequence[str], owner: str, *, pinned: bool) -> int:
    """Pin assets or let them go, and print them. Raises `NotFound`."""
    return run_async(partial(_pin, settings, names, owner, pinned))


async def _pin(settings: Settings, names: Sequence[str], owner: str, pinned: bool) -> int:
    async with reading(settings, Catalog(())) as queue:
        for uri in [uri for name in names for uri in await _uris(queue, name, owner)]:
            held = await queue.keeping.pin(owner, uri, pinned=pinned)
            say(f"{uri}  {_standing(held) or 'not pinned'}")
    return ExitCode.OK


async def _uris(queue: Queue, name: str, owner: str) -> list[str]:
    """Return the URI that `name` is, or those of what a job of that name made."""
    if name.startswith("media://"):
        return [name]
    return [asset.uri for asset in (await queue.get(name, Caller(owner))).assets]


def _cells(held: Holding) -> Cells:
    return held.uri, held.owner, _day(held.used_at), bytes_words(held.size)


def _standing(held: Holding) -> str:
    if held.removed:
        return f"removed {held.removed}"
    return "pinned" if held.pinned_at else ""


def _facts(held: Holding) -> dict[str, JSON]:
    facts: dict[str, JSON] = {
        "uri": held.uri,
        "owner": held.owner,
        "bytes": held.size,
        "last_used": _time(held.used_at),
        "pinned": held.pinned_at is not None,
    }
    return facts | ({"removed": held.removed} if held.removed else {})


def _left(left: Leftover) -> dict[str, JSON]:
    return {"what": left.what, "path": str(left.path), "bytes": left.size}


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
