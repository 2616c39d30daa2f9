"""What listings and search need of a model, without reading all of it."""

from __future__ import annotations

from dataclasses import dataclass

from media_mcp.job import MediaKind


@dataclass(frozen=True, slots=True)
class Head:
    """A model in one row. `low` and `high` are US dollars for a typical call, None if unknown.

    `about` is the first sentence of the description (at most 90 characters), `price` the price in
    words, `media_in` and `media_out` the kinds of media that the model takes and makes; some route
    of one that `leaves` is no worker's on one's own machine;
    `description` is the whole one and `hint` the words under which clients may look for the tool.
    """

    id: str
    tool: str
    title: str
    task: str
    provider: str
    licence: str
    family: str
    about: str
    price: str
    low: float | None
    high: float | None
    featured: bool
    retired: bool
    media_in: tuple[MediaKind, ...]
    media_out: tuple[MediaKind, ...]
    backends: tuple[str, ...]
    leaves: bool = True
    description: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody looks for: words and filters; an empty filter lets everything pass.

    `max_price` is US dollars for a typical call: a model whose price is unknown does not pass it.
    `backends` are the names of those that can run now (`runs here`).
    """

    query: str = ""
    task: str = ""
    provider: str = ""
    licence: str = ""
    max_price: float | None = None
    backends: frozenset[str] | None = None
    media_in: MediaKind | None = None
    media_out: MediaKind | None = None
    limit: int = 10


@dataclass(frozen=True, slots=True)
class Found:
    """A model and how well it fits; scores compare within one search only."""

    head: Head
    score: float
