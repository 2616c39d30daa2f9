"""The way in, the same for every door: find the model, check the arguments, fetch the media."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from media_mcp.catalog.catalog import Catalog
from media_mcp.catalog.model import Model
from media_mcp.catalog.schema import media_inputs
from media_mcp.catalog.validate import complete
from media_mcp.errors import BadMedia, NotFound
from media_mcp.job import JSON, Asset, Caller, MediaKind, Quote
from media_mcp.media import Inputs
from media_mcp.queue import Queue, Submission, Submitted


@dataclass(frozen=True, slots=True)
class Order:
    """A checked call: every default filled in, every media argument an asset of ours."""

    model: Model
    arguments: Mapping[str, JSON]
    inputs: Mapping[str, Asset]


class Intake:
    """Turns a call into an order and an order into a job."""

    def __init__(self, catalog: Catalog, inputs: Inputs, queue: Queue) -> None:
        self.catalog = catalog
        self._inputs = inputs
        self._queue = queue

    async def prepare(
        self,
        model: Model,
        arguments: Mapping[str, JSON],
        caller: Caller,
        roots: Sequence[Path] = (),
    ) -> Order:
        """Check a call. Raises `InvalidArguments` or `BadMedia`, before any job is written."""
        checked = complete(model, arguments)
        fetch = _Fetch(self._inputs, self._queue, caller, roots)
        for name, kind in media_inputs(model).items():
            if name in checked:
                checked[name] = await fetch.argument(name, checked[name], kind)
        return Order(model, checked, fetch.inputs)

    async def quotes(self, order: Order) -> tuple[Quote, ...]:
        """Return what the order would cost and take on each route."""
        return await self._queue.quotes(order.model, order.arguments)

    async def submit(
        self, order: Order, caller: Caller, door: str, *, fresh: bool = False, backend: str = ""
    ) -> Submitted:
        """Write the job. Raises `NotConfigured` when no route can run it, or `StorageFailed`."""
        submission = Submission(
            model=order.model,
            arguments=order.arguments,
            caller=caller,
            door=door,
            inputs=order.inputs,
            seed=order.arguments.get("seed"),
            fresh=fresh,
            backend=backend or None,
        )
        return await self._queue.submit(submission)


@dataclass(slots=True)
class _Fetch:
    """Gathers the media that one call names."""

    source: Inputs
    queue: Queue
    caller: Caller
    roots: Sequence[Path]
    inputs: dict[str, Asset] = field(default_factory=dict)

    async def argument(self, name: str, value: JSON, kind: MediaKind) -> JSON:
        """Return the URI of each asset that an argument names, in the argument's own shape."""
        if isinstance(value, list):
            return [await self.argument(f"{name}[{i}]", v, kind) for i, v in enumerate(value)]
        try:
            await self._check_owner(value)
            asset = await self.source.resolve(value, kind=kind, roots=self.roots)
        except (BadMedia, NotFound) as error:
            raise BadMedia(f"{name}: {error.message}", error.hint) from None
        self.inputs[asset.uri] = replace(asset, role=name.partition("[")[0])
        return asset.uri

    async def _check_owner(self, value: str) -> None:
        """An asset of somebody else is not there, in the same words as one that never was."""
        if value.startswith("media://") and not await self.queue.owns(self.caller, value):
            raise NotFound(f"There is no asset {value[:100]}.", "list_assets shows what there is.")
