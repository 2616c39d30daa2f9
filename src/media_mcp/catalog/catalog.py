"""The catalog: every model by id and by tool name, with the user's cards laid over ours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from media_mcp.catalog.cards import load_folder
from media_mcp.catalog.model import Model
from media_mcp.catalog.search import Found, Index
from media_mcp.errors import BadCard, NotFound, did_you_mean


def shipped_folder() -> Path:
    """Return the folder of our own cards: beside the code in a checkout, inside it in a wheel."""
    package = Path(__file__).resolve().parents[1]
    in_place = package.parents[1] / "catalog"
    return in_place if (in_place / "sketch.yaml").is_file() else package / "data" / "catalog"


class Catalog:
    """Models in a fixed order (by id). Later models replace earlier ones of the same id."""

    def __init__(self, models: Iterable[Model]) -> None:
        by_id = {model.id: model for model in models}
        self._by_id = dict(sorted(by_id.items()))
        self._by_tool = _by_tool(self._by_id.values())
        self._index: Index | None = None

    @classmethod
    def load(cls, folders: Sequence[Path] = ()) -> Catalog:
        """Read our cards and then each of `folders`. Raises `BadCard`."""
        ours = shipped_folder()
        others = [folder for folder in folders if folder.resolve() != ours.resolve()]
        return cls(model for folder in (ours, *others) for model in load_folder(folder))

    def __iter__(self) -> Iterator[Model]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def get(self, name: str) -> Model:
        """Return a model by id or tool name. Raises `NotFound` with the nearest ids."""
        model = self._by_id.get(name) or self._by_tool.get(name)
        if model is None:
            near = did_you_mean(name, [*self._by_id, *self._by_tool])
            hint = near or "find_models lists what there is."
            raise NotFound(f"There is no model called {name[:80]!r}.", hint)
        return model

    def tasks(self) -> list[str]:
        """Return every task that some model does, sorted."""
        return sorted({model.task for model in self})

    def find(self, query: str = "", *, task: str = "", limit: int = 10) -> list[Found]:
        """Return the models that fit what is wanted, best first."""
        if self._index is None:
            self._index = Index(self._by_id.values())
        return self._index.find(query, task=task, limit=limit)

    def select(self, tools: str) -> list[Model]:
        """Return the models whose tools are listed: `featured`, `all`, tasks or names by comma.

        Raises `NotFound` for a word that is neither a task nor a model.
        """
        words = [word.strip() for word in tools.split(",") if word.strip()]
        chosen: dict[str, Model] = {}
        for word in words:
            chosen |= {model.id: model for model in self._chosen_by(word)}
        return [model for model in self if model.id in chosen]

    def _chosen_by(self, word: str) -> Iterable[Model]:
        if word == "all":
            return self
        if word == "featured":
            return [model for model in self if model.featured]
        return [model for model in self if model.task == word] or [self.get(word)]


def _by_tool(models: Iterable[Model]) -> dict[str, Model]:
    tools: dict[str, Model] = {}
    for model in models:
        other = tools.setdefault(model.tool, model)
        if other is not model:
            raise BadCard(
                f"{model.source}: {model.id} and {other.id} share the tool name {model.tool}.",
                "Give one of them another name with `tool:`.",
            )
    return tools
