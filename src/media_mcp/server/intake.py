"""The way in, the same for every door: find the model, check the arguments, fetch the media."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from media_mcp.catalog.catalog import Catalog
from media_mcp.catalog.model import Model
from media_mcp.catalog.schema import media_inputs
from media_mcp.catalog.validate import complete
from media_mcp.errors import BadMedia, MediaError, Problem
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
        self, model: Model, arguments: Mapping[str, JSON], roots: Sequence[Path] = ()
    ) -> Order:
        """Check a call. Raises `InvalidArguments` or `BadMedia`, before anything is written."""
        checked = complete(model, arguments)
        inputs: dict[str, Asset] = {}
        for name, kind in media_inputs(model).items():
            if name in checked:
                checked[name] = await self._resolve(name, checked[name], kind, roots, inputs)
        return Order(model, checked, inputs)

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

    async def _resolve(
        self,
        name: str,
        value: JSON,
        kind: MediaKind,
        roots: Sequence[Path],
        inputs: dict[str, Asset],
    ) -> JSON:
        if isinstance(value, list):
            return [await self._resolve(name, item, kind, roots, inputs) for item in value]
        try:
            asset = await self._inputs.resolve(value, kind=kind, roots=roots)
        except MediaError as error:
            raise _about(name, error) from None
        inputs[asset.uri] = replace(asset, role=name)
        return asset.uri


def _about(name: str, error: MediaError) -> MediaError:
    """Put the argument's name in front, so that the caller knows which of several it was."""
    problem = Problem(name, error.message)
    kind = type(error) if isinstance(error, BadMedia) else BadMedia
    return kind(f"{problem.field}: {problem.message}", error.hint)
