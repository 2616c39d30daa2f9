"""What a compiled catalog is made of, and where it is kept: compiled once for each state."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from media_mcp import __version__, job
from media_mcp.catalog.index import FORMAT, Index
from media_mcp.errors import BadCard

KEPT = 8  # compiled files of other states that stay in the cache
SHIPPED = "catalog.db"
WORDS = "words"  # the subfolder of the glossary and of what search knows
_SOURCES = ("*.jsonl", "*.y*ml", f"{WORDS}/*.y*ml")


def shipped_folder() -> Path:
    """Return the folder of our own cards: beside the code in a checkout, inside it in a wheel."""
    package = Path(__file__).resolve().parents[1]
    in_place = package.parents[1] / "catalog"
    return in_place if (in_place / "sketch.yaml").is_file() else package / "data" / "catalog"


def open_index(folders: Sequence[Path], cache: Path, doubted: Sequence[Path] = ()) -> Index:
    """Open the index of our cards with `folders` laid over, compiling it if a file has changed.

    Raises `BadCard`. A cache that cannot be written costs time at each start, and nothing else.
    """
    ours = shipped_folder()
    others = [folder for folder in folders if folder.resolve() != ours.resolve()]
    doubted = [folder for folder in doubted if folder in others and sources(folder)]
    state = fingerprint([ours, *others], doubted)
    for path in (ours / SHIPPED, cache / f"catalog-{state}.db"):
        if (index := _opened(path, state)) is not None:
            return index
    return _compiled([ours, *others], cache / f"catalog-{state}.db", state, doubted)


def fingerprint(folders: Sequence[Path], doubted: Sequence[Path] = ()) -> str:
    """Return a digest of all that a compiled catalog depends on: the files and our own code.

    Where our own folder stands does not count; a user's does, for cards name files beside them.
    """
    digest = blake2b(f"{__version__} {FORMAT} ".encode(), digest_size=16)
    for folder in doubted:
        digest.update(f"doubted {folder}\n".encode())
    for folder in folders:
        place = "" if folder == folders[0] else folder.absolute()
        for path in sources(folder):
            digest.update(f"{place} {path.relative_to(folder)}\n".encode())
            digest.update(_bytes(path))
    for path in sorted([*Path(__file__).parent.glob("*.py"), Path(job.__file__)]):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def sources(folder: Path) -> list[Path]:
    """Return the files of a folder that say something of models, in a fixed order."""
    return [path for pattern in _SOURCES for path in sorted(folder.glob(pattern))]


def _opened(path: Path, state: str) -> Index | None:
    with suppress(sqlite3.Error):
        index = Index.open(path)
        if index.fact("state") == state:
            return index
        index.close()
    return None


def _compiled(folders: Sequence[Path], path: Path, state: str, doubted: Sequence[Path]) -> Index:
    """Compile into the cache, or into memory where that cannot be."""
    from media_mcp.catalog import compile  # most starts do without it and all that it imports

    content = compile.content_of(folders, doubted)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            made = Path(folder) / path.name
            compile.save(made, content, state)
            made.replace(path)
        _tidy(path.parent)
        return Index.open(path)
    except (OSError, sqlite3.Error):
        return compile.in_memory(content)


def _tidy(cache: Path) -> None:
    files = sorted(cache.glob("catalog-*.db"), key=lambda path: path.stat().st_mtime)
    for path in files[:-KEPT]:
        path.unlink(missing_ok=True)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadCard(f"{path} cannot be read: {error}.", "Mend or remove the file.") from None
