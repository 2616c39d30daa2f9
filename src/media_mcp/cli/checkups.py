"""What the doctor looks at; each check is told apart, so that one failure hides no other."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections import Counter
from collections.abc import AsyncIterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from media_mcp import __version__
from media_mcp.backends import registry
from media_mcp.catalog.catalog import Catalog
from media_mcp.cli.finding import Finding
from media_mcp.cli.memory import device, loaded, weights
from media_mcp.cli.result import bytes_words
from media_mcp.cli.rooms import reading
from media_mcp.errors import MediaError
from media_mcp.job import Caller
from media_mcp.settings import FILE_NAME, Settings, config_dir

LOW_SPACE = 10**9


async def check_all(settings: Settings) -> list[Finding]:
    """Return every finding, in a fixed order."""
    findings = [_python(), _packages(), _extra(), _settings_files()]
    findings += [_data_folder(settings), await _store(settings), _catalog(settings)]
    findings += [finding async for finding in _backends(settings)]
    return [*findings, await device(settings), loaded(settings), weights(settings)]


def _python() -> Finding:
    words = f"{platform.python_version()} on {platform.system()} ({sys.executable})"
    return Finding("python", ok=True, words=words)


def _packages() -> Finding:
    names = [name for name in _requirements() if name]
    found = {name: _version(name) for name in names}
    missing = [name for name, number in found.items() if number is None]
    if missing:
        words = f"media-mcp {__version__} lacks {', '.join(missing)}"
        return Finding("packages", False, words, "Run: pip install media-mcp", vital=True)
    listed = ", ".join(f"{name} {number}" for name, number in found.items())
    return Finding("packages", ok=True, words=f"media-mcp {__version__}: {listed}")


def _extra() -> Finding:
    found = {name: _version(name) for name in _requirements("local")}
    missing = [name for name, number in found.items() if number is None]
    if missing:
        words = f"not installed: {', '.join(missing)}"
        return Finding("[local]", False, words, 'Run: pip install "media-mcp[local]"')
    listed = ", ".join(f"{name} {number}" for name, number in found.items())
    return Finding("[local]", ok=True, words=listed)


def _requirements(extra: str = "") -> list[str]:
    """Return the names that our distribution requires, those of one extra or the plain ones."""
    names = []
    for line in requires("media-mcp") or ():
        requirement, _, marker = line.partition(";")
        wanted = f'"{extra}"' in marker.replace("'", '"') if extra else "extra" not in marker
        if wanted:
            names.append(_name(requirement))
    return names


def _name(requirement: str) -> str:
    end = next((i for i, c in enumerate(requirement) if not (c.isalnum() or c in "-_.")), None)
    return requirement[:end]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _settings_files() -> Finding:
    places = [config_dir() / FILE_NAME, Path(FILE_NAME).absolute()]
    found = [str(place) for place in places if place.is_file()]
    names = sorted(name for name in os.environ if name.startswith("MEDIA_MCP_"))
    return Finding("settings", ok=True, words=", ".join([*found, *names]) or "defaults")


def _data_folder(settings: Settings) -> Finding:
    folder = settings.data_dir
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        words = f"{folder} cannot be made: {error.strerror}"
        return Finding("data folder", False, words, "Set data_dir to a folder of yours.", True)
    words = f"{folder}, {bytes_words(free)} free"
    fix = f"Free some space: {bytes_words(LOW_SPACE)} should be left."
    return Finding("data folder", free >= LOW_SPACE, words, fix)


async def _store(settings: Settings) -> Finding:
    try:
        async with reading(settings, Catalog(())) as queue:
            spend = await queue.books.spend(Caller())
    except MediaError as error:
        return Finding("store", False, error.message, error.hint, vital=True)
    return Finding("store", ok=True, words=f"opens; {spend['jobs']} jobs")


def _catalog(settings: Settings) -> Finding:
    try:
        models = Catalog.load(settings.catalog_dirs, settings.doubted_dirs)
    except MediaError as error:
        return Finding("catalog", False, error.message, error.hint, vital=True)
    tasks = Counter(model.task for model in models)
    counts = ", ".join(f"{count} {task}" for task, count in sorted(tasks.items()))
    return Finding("catalog", ok=True, words=f"{len(models)} models: {counts}")


async def _backends(settings: Settings) -> AsyncIterator[Finding]:
    for name in registry.names():
        yield await _backend(name, settings)


async def _backend(name: str, settings: Settings) -> Finding:
    label = f"backend {name}"
    try:
        backend = registry.create(name, settings)
        readiness = await backend.readiness()
        await backend.aclose()
    except MediaError as error:
        return Finding(label, False, error.message, error.hint)
    except Exception as error:  # a third party's module; the other checks must still be told
        return Finding(label, False, f"cannot be loaded: {error!r}", "Update or uninstall it.")
    return Finding(label, readiness.ready, readiness.reason or "ready", readiness.fix)
