"""The compiled catalog: one SQLite file from which models are read when they are asked for.

Heads are read once, at the first listing or search; a model's body, its input schema and a word's
postings each time they are needed. Nothing of a card is parsed again until a card changes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

from media_mcp.catalog.codec import dump_head, dumps, load_head, load_model
from media_mcp.catalog.head import Head
from media_mcp.catalog.model import Model

FORMAT = 2
_TABLES = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE models (
    number INTEGER PRIMARY KEY, id TEXT UNIQUE, tool TEXT UNIQUE, head TEXT, body TEXT, schema TEXT,
    bare TEXT
);
CREATE TABLE words (word TEXT PRIMARY KEY, postings BLOB) WITHOUT ROWID;
"""


# A model, the input schema as JSON text, and the model as its endpoint declares it, if a card says
# other than that.
Entry: TypeAlias = tuple[Head, Model, str, Model | None]


class Index:
    """A compiled catalog, open for reading. Any thread may read."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @classmethod
    def open(cls, path: Path) -> Index:
        """Open a file that `write` made. Raises `sqlite3.Error` for anything else."""
        index = cls(connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1"))
        if index.fact("format") != str(FORMAT):
            index.close()
            raise sqlite3.DatabaseError(f"{path} has another format")
        return index

    def close(self) -> None:
        self._connection.close()

    def fact(self, name: str) -> str:
        """Return what was written of the catalog as a whole; empty if nothing was."""
        return self._text("SELECT value FROM facts WHERE name = ?", name) or ""

    @cached_property
    def heads(self) -> tuple[Head, ...]:
        """Every model's head, by number, which is the order of their ids."""
        rows = self._connection.execute("SELECT head FROM models ORDER BY number")
        return tuple(load_head(head) for (head,) in rows)

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        """Every word that search knows, sorted."""
        return tuple(w for (w,) in self._connection.execute("SELECT word FROM words ORDER BY word"))

    def postings(self, word: str) -> bytes:
        row = self._connection.execute("SELECT postings FROM words WHERE word = ?", (word,))
        return next((found for (found,) in row), b"")

    def model(self, name: str) -> Model | None:
        """Read a model by its id or else by its tool name."""
        body = self._text("SELECT body FROM models WHERE id = ?", name)
        body = body or self._text("SELECT body FROM models WHERE tool = ?", name)
        return load_model(body) if body else None

    def bare(self, model_id: str) -> Model | None:
        """Read a model as its endpoint declares it; None where no card lies over that."""
        body = self._text("SELECT bare FROM models WHERE id = ?", model_id)
        return load_model(body) if body else None

    def schema(self, model_id: str) -> str:
        """Return a model's input schema as JSON text; empty for an unknown id."""
        return self._text("SELECT schema FROM models WHERE id = ?", model_id) or ""

    def _text(self, query: str, value: str) -> str | None:
        row = self._connection.execute(query, (value,)).fetchone()
        return row[0] if row else None


def write(
    connection: sqlite3.Connection,
    entries: Iterable[Entry],
    words: Mapping[str, bytes],
    facts: Mapping[str, str],
) -> Index:
    """Fill an empty database with models (in the order of their ids), words and facts."""
    with connection:
        connection.executescript(_TABLES)
        connection.executemany("INSERT INTO facts VALUES (?, ?)", facts.items())
        connection.execute("INSERT INTO facts VALUES ('format', ?)", (str(FORMAT),))
        connection.executemany("INSERT INTO models VALUES (?, ?, ?, ?, ?, ?, ?)", _rows(entries))
        connection.executemany("INSERT INTO words VALUES (?, ?)", sorted(words.items()))
    return Index(connection)


def connect(uri: str) -> sqlite3.Connection:
    """Open a database that threads may share."""
    return sqlite3.connect(uri, uri=True, check_same_thread=False)


def _rows(entries: Iterable[Entry]) -> Iterable[tuple[int, str, str, str, str, str, str | None]]:
    for number, (head, model, schema, bare) in enumerate(entries):
        body, declared = dumps(model), dumps(bare) if bare else None
        yield number, model.id, model.tool, dump_head(head), body, schema, declared
