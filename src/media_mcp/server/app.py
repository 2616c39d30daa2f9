"""Puts the rooms together: catalog, media, queue and backends, opened and closed as one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from media_mcp.backends import registry
from media_mcp.backends.base import Backend
from media_mcp.catalog.catalog import Catalog
from media_mcp.errors import StorageFailed
from media_mcp.media import Inputs, MediaStore
from media_mcp.queue import Queue
from media_mcp.server.intake import Intake
from media_mcp.settings import Settings

REHEARSAL = "rehearsal"


@dataclass(frozen=True, slots=True)
class App:
    """Everything a door needs."""

    settings: Settings
    catalog: Catalog
    backends: dict[str, Backend]
    media: MediaStore
    queue: Queue
    intake: Intake


@asynccontextmanager
async def open_app(
    settings: Settings,
    roots: Sequence[Path] = (),
    *,
    backends: Mapping[str, Backend] | None = None,
) -> AsyncIterator[App]:
    """Open the rooms; inputs may be read under `roots` besides those of the settings, but not by
    callers who show a key.

    `backends` adds some by name to those that the catalog's routes ask for, for programs that
    embed media-mcp; they are closed with the rest.

    Raises `BadCard`, `StorageFailed` and other `NotConfigured` errors before anything is served.
    """
    catalog = Catalog.load(settings.catalog_dirs, settings.doubted_dirs)
    _make_folder(settings.data_dir)
    media = MediaStore(settings.data_dir / "assets")
    inputs = Inputs(
        media,
        roots=settings.roots,
        max_bytes=settings.max_input_bytes,
        allow_private=settings.allow_private_urls,
    )
    async with AsyncExitStack() as stack:
        places = registry.create_all(_wanted(catalog), settings) | dict(backends or {})
        for backend in places.values():
            stack.push_async_callback(backend.aclose)
        queue = Queue(settings, places, media, catalog.get)
        await stack.enter_async_context(queue)
        yield App(settings, catalog, places, media, queue, Intake(catalog, inputs, queue, roots))


def working_root() -> list[Path]:
    """Return the working folder as a root, unless that would open the home or the whole disk."""
    here = Path.cwd().resolve()
    return [] if here in (Path.home().resolve(), Path(here.anchor)) else [here]


def _wanted(catalog: Catalog) -> set[str]:
    return {*catalog.backends(), REHEARSAL} & set(registry.names())


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StorageFailed(
            f"The data folder {folder} cannot be made: {error.strerror}.",
            "Choose another with --data-dir or MEDIA_MCP_DATA_DIR.",
        ) from None
