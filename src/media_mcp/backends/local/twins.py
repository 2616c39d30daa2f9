"""Which smaller model could do instead of one that is too large for this machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from media_mcp.catalog.catalog import Catalog
from media_mcp.catalog.model import Model
from media_mcp.errors import MediaError, OutOfMemory
from media_mcp.job import Route
from media_mcp.settings import Settings

NEEDS = "memory_gb"


def advised(error: MediaError, settings: Settings | None, model: Model, route: Route) -> MediaError:
    """Add to what was too large the name of a smaller twin, if the catalog has one."""
    needs = route.spec.get(NEEDS)
    if not isinstance(error, OutOfMemory) or settings is None or not isinstance(needs, int | float):
        return error
    try:
        catalog = Catalog.load(settings.catalog_dirs, settings.doubted_dirs)
        found = smaller_twin(model, float(needs), catalog)
    except MediaError:  # a card that was broken meanwhile is no answer to this
        return error
    if found is not None:
        twin, size = found
        error.hint = f"{error.hint} {twin.id} does the same and needs about {size:g} GB.".strip()
    return error


def smaller_twin(model: Model, needs: float, models: Iterable[Model]) -> tuple[Model, float] | None:
    """Return the largest model that needs less than `needs` GB here and does the same task, and
    what it needs: one of the family, else one that the card names as an alternative, else one of
    the family's kin (`flux-2-klein` is that of `flux-1`)."""
    found = [(one, size) for one in models for size in _sizes(one) if size < needs]
    same = [pair for pair in found if pair[0].task == model.task and pair[0].id != model.id]
    family = [pair for pair in same if model.family and pair[0].family == model.family]
    others = [pair for pair in same if pair[0].id in model.alternatives]
    kin = [pair for pair in same if model.family and _stem(pair[0]) == _stem(model)]
    return max(family or others or kin, key=lambda pair: pair[1], default=None)


def _stem(model: Model) -> str:
    return model.family.partition("-")[0]


def _sizes(model: Model) -> Iterator[float]:
    for route in model.routes:
        if isinstance(needs := route.spec.get(NEEDS), int | float):
            yield float(needs)
