"""Compiles folders of cards and endpoints into an index. Imported only when a file has changed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from media_mcp.catalog.cards import model_of, models_of
from media_mcp.catalog.describe import head_of
from media_mcp.catalog.endpoints import load_endpoints
from media_mcp.catalog.glossary import Glossary
from media_mcp.catalog.index import Index, connect, write
from media_mcp.catalog.model import Model, tool_name
from media_mcp.catalog.pricing import is_hosted
from media_mcp.catalog.schema import input_schema
from media_mcp.catalog.search import INTENTS, compile_words
from media_mcp.catalog.sources import WORDS, shipped_folder
from media_mcp.errors import BadCard
from media_mcp.job import Price

UNTOLD = Price(0.0, "call", "unknown", note="a card in the working folder has no word on prices")


@dataclass(frozen=True, slots=True)
class Content:
    """Models by id, and those that a card has changed as their endpoints declare them."""

    models: Sequence[Model]
    bare: Mapping[str, Model]


def content_of(folders: Sequence[Path], doubted: Sequence[Path] = ()) -> Content:
    """Return what `folders` declare: `doubted` ones by cards alone, without hosted prices.

    Raises `BadCard`.
    """
    vouched = [folder for folder in folders if folder not in doubted]
    endpoints = load_endpoints(vouched, Glossary.load(folders[0] / WORDS))
    models = [_doubted(m, doubted) for m in _with_own_tools(models_of(endpoints, folders))]
    carded = [m.id for m in models if m.id in endpoints and not _generated(m)]
    bare = {name: model_of(endpoints[name], endpoints[name]["source"]) for name in carded}
    placed = (_in_place(model, folders[0]) for model in models)
    return Content(sorted(placed, key=lambda model: model.id), bare)


def save(path: Path, content: Content, state: str) -> None:
    """Compile into a new file at `path`. Raises `OSError` and `sqlite3.Error`."""
    with closing(connect(path.absolute().as_uri())) as connection:
        _fill(connection, content, state)
        connection.execute("VACUUM")


def in_memory(content: Content) -> Index:
    """Index what could not be saved."""
    return _fill(connect(":memory:"), content, "")


def index_of(models: Iterable[Model]) -> Index:
    """Index models that no file declares. Raises `BadCard` where two share a tool name."""
    return in_memory(Content(sorted(_with_own_tools(models), key=lambda model: model.id), {}))


def _doubted(model: Model, folders: Sequence[Path]) -> Model:
    """Take the prices of hosted routes out of a model that a card in one of `folders` has changed.

    Whoever wrote that card would else say what a budget counts.
    """
    if not any(Path(model.source).is_relative_to(folder) for folder in folders):
        return model
    routes = (replace(r, price=UNTOLD) if is_hosted(r) else r for r in model.routes)
    return replace(model, routes=tuple(routes))


def _in_place(model: Model, ours: Path) -> Model:
    """Name our own cards by their place in the project, wherever that is installed."""
    source = Path(model.source)
    if source.is_relative_to(ours):
        return replace(model, source=f"catalog/{source.relative_to(ours)}")
    return replace(model, own=not _generated(model))


def _fill(connection: sqlite3.Connection, content: Content, state: str) -> Index:
    models = content.models
    heads = [head_of(model) for model in models]
    backends = sorted({route.backend for model in models for route in model.routes})
    pairs = zip(heads, models, strict=True)
    entries = [(head, model, _schema(model), content.bare.get(model.id)) for head, model in pairs]
    words = compile_words(models, heads, shipped_folder() / WORDS / INTENTS)
    facts = {"state": state, "backends": json.dumps(backends)}
    return write(connection, entries, words, facts)


def _schema(model: Model) -> str:
    return json.dumps(input_schema(model), separators=(",", ":"), ensure_ascii=False)


def _with_own_tools(models: Iterable[Model]) -> list[Model]:
    """Give way: a generated model whose tool name a card has taken gets a numbered one.

    Raises `BadCard` where two cards, or two generated models, share a name.
    """
    known: dict[str, Model] = {}
    for model in sorted(models, key=_generated):
        taken = known.get(model.tool)
        own = replace(model, tool=tool_name(model.id, numbered=True)) if taken else model
        if taken and (not _generated(model) or own.tool in known):
            raise BadCard(
                f"{model.source}: {model.id} and {taken.id} share the tool name {model.tool}.",
                "Give one of them another name with `tool:`.",
            )
        known[own.tool] = own
    return list(known.values())


def _generated(model: Model) -> bool:
    return ".jsonl" in model.source
