"""The catalog: every model by id and by tool name, with the user's cards laid over ours."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

from media_mcp.catalog.head import Found, Head, Wish
from media_mcp.catalog.index import Index
from media_mcp.catalog.model import Model
from media_mcp.catalog.search import Search
from media_mcp.catalog.sources import open_index
from media_mcp.errors import NotFound, did_you_mean
from media_mcp.settings import cache_dir


class Catalog:
    """Models in a fixed order (by id), read when they are asked for.

    Made from models, or with `load` from folders of cards. Heads are rows of all models; a model
    is read once and then the same object.
    """

    def __init__(self, models: Iterable[Model] = (), *, index: Index | None = None) -> None:
        given = {model.id: model for model in models}  # the last of an id wins
        self._index = index or _in_memory(given.values())
        self._models = given

    @classmethod
    def load(cls, folders: Sequence[Path] = (), doubted: Sequence[Path] = ()) -> Catalog:
        """Open our models and those of `folders`, later ones replacing earlier ones by id.

        What cards in the folders `doubted` change costs nobody knows what where it is hosted.
        Raises `BadCard`.
        """
        return cls(index=open_index(folders, cache_dir(), doubted))

    @property
    def heads(self) -> Sequence[Head]:
        return self._index.heads

    def __iter__(self) -> Iterator[Model]:
        return (self.get(head.id) for head in self.heads)

    def __len__(self) -> int:
        return len(self.heads)

    def get(self, name: str) -> Model:
        """Return a model by id or tool name. Raises `NotFound` with the nearest ids."""
        if (known := self._models.get(name)) is not None:
            return known
        model = self._index.model(name)
        if model is None:
            raise self._unknown(name)
        return self._models.setdefault(model.id, model)

    def endpoint(self, model_id: str) -> Model:
        """Return a model as the place that runs it declares it: without what our card says.

        Raises `NotFound`.
        """
        model = self.get(model_id)
        return self._index.bare(model.id) or model

    def schema(self, model_id: str) -> str:
        """Return a model's input schema as JSON text, without reading the model."""
        return self._index.schema(model_id)

    def backends(self) -> frozenset[str]:
        """Return the names of the backends that some route asks for."""
        return frozenset(json.loads(self._index.fact("backends")))

    def tasks(self) -> list[str]:
        """Return every task that some model does, sorted."""
        return sorted({head.task for head in self.heads})

    def find(self, wish: Wish) -> list[Found]:
        """Return the models that fit what is wanted, best first."""
        return self._search.find(wish)

    def select(self, tools: str) -> list[Head]:
        """Return the models whose tools are listed: `featured`, `all`, tasks or names by comma.

        Raises `NotFound` for a word that is neither a task nor a model.
        """
        words = [word.strip() for word in tools.split(",") if word.strip()]
        chosen = {model_id for word in words for model_id in self._chosen_by(word)}
        return [head for head in self.heads if head.id in chosen]

    def _chosen_by(self, word: str) -> Iterable[str]:
        if word == "all":
            return [head.id for head in self.heads]
        if word == "featured":
            return [head.id for head in self.heads if head.featured]
        return [head.id for head in self.heads if head.task == word] or [self.get(word).id]

    def _unknown(self, name: str) -> NotFound:
        names = [name for head in self.heads for name in (head.id, head.tool)]
        hint = did_you_mean(name, names) or "find_models lists what there is."
        return NotFound(f"There is no model called {name[:80]!r}.", hint)

    @cached_property
    def _search(self) -> Search:
        return Search(self._index.heads, self._index.vocabulary, self._index.postings)


def _in_memory(models: Iterable[Model]) -> Index:
    from media_mcp.catalog.compile import index_of  # most servers do without

    return index_of(models)
