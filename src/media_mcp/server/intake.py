"""The way in, the same for every door: find the model, check the arguments, fetch the media."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from media_mcp import spans
from media_mcp.catalog.catalog import Catalog
from media_mcp.catalog.model import Model, Param
from media_mcp.catalog.schema import holds_media
from media_mcp.catalog.validate import complete
from media_mcp.errors import BadMedia, NotFound, Refused
from media_mcp.job import JSON, Asset, Caller, MediaKind, Quote
from media_mcp.media import Inputs
from media_mcp.queue import Queue, Submission, Submitted
from media_mcp.queue.sentences import forbidden
from media_mcp.queue.terms import NORMAL

LORA = "lora"  # the role of an input that a hub repository may stand for
_INDEX = re.compile(r"\[\d+\]")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}(?<!\.safetensors)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Order:
    """A checked call: every default filled in, every media argument an asset of ours."""

    model: Model
    arguments: Mapping[str, JSON]
    inputs: Mapping[str, Asset]


class Intake:
    """Turns a call into an order and an order into a job.

    Paths may lie under `here`, too, which is whose machine this is: not for callers with keys.
    """

    def __init__(
        self, catalog: Catalog, inputs: Inputs, queue: Queue, here: Sequence[Path] = ()
    ) -> None:
        self.catalog = catalog
        self._inputs = inputs
        self._queue = queue
        self._here = tuple(here)

    async def prepare(
        self,
        model: Model,
        arguments: Mapping[str, JSON],
        caller: Caller,
        roots: Sequence[Path] = (),
    ) -> Order:
        """Check a call. Raises `InvalidArguments`, `BadMedia` or `Refused`; no job is written.

        `roots` are the client's folders. One that shows a key may be on any machine, and what it
        calls its folders are none of this one's.
        """
        checked = complete(model, arguments)
        rules = self._queue.rules(caller)
        no_fetch = rules.setting("offline") if rules.offline else ""
        folders = () if caller.key else (*self._here, *roots)
        fetch = _Fetch(self._inputs, self._queue, caller, folders, no_fetch)
        for param in model.inputs:
            if param.name in checked and holds_media(param):
                checked[param.name] = await fetch.argument(param, checked[param.name], param.name)
        return Order(model, checked, fetch.inputs)

    async def quotes(
        self, order: Order, caller: Caller, *, backend: str = "", timed: bool = True
    ) -> tuple[Quote, ...]:
        """Return what the order would cost and take on each route, or on those to `backend`."""
        return await self._queue.quotes(
            order.model,
            order.arguments,
            order.inputs,
            backend=backend or None,
            timed=timed,
            caller=caller,
        )

    async def submit(
        self,
        order: Order,
        caller: Caller,
        door: str,
        *,
        fresh: bool = False,
        backend: str = "",
        agreed: JSON = None,
        priority: int = NORMAL,
    ) -> Submitted:
        """Write the job. `agreed` is what its user said it may cost.

        Raises `NotConfigured` when no route can run it, `Refused` when none may, `StorageFailed`.
        """
        submission = Submission(
            model=order.model,
            arguments=order.arguments,
            caller=caller,
            door=door,
            inputs=order.inputs,
            seed=order.arguments.get("seed"),
            fresh=fresh,
            backend=backend or None,
            agreed=agreed,
            priority=priority,
        )
        return await self.keep(submission)

    async def keep(self, submission: Submission) -> Submitted:
        """Write the job of a call, in a span of its own. Raises as `Queue.submit` does."""
        told = {"model": submission.model.id, "door": submission.door}
        trace = submission.trail.trace
        with spans.span(f"submit {submission.model.id}", trace, **told) as note:
            submitted = await self._queue.submit(submission)
            note("job", submitted.job.id)
            note("route", submitted.job.route.backend)
            note("state", submitted.job.state)
        return submitted


@dataclass(slots=True)
class _Fetch:
    """Gathers the media that one call names."""

    source: Inputs
    queue: Queue
    caller: Caller
    roots: Sequence[Path]
    no_fetch: str = ""
    inputs: dict[str, Asset] = field(default_factory=dict)

    async def argument(self, param: Param, value: JSON, place: str) -> JSON:
        """Put the URI of its asset where an argument, or what is nested in it, names media.

        `place` is where the value stands: `elements[0].frontal_image_url`.
        """
        if isinstance(value, list) and param.items is not None:
            one = replace(param.items, media=param.media or param.items.media)
            return [await self.argument(one, v, f"{place}[{i}]") for i, v in enumerate(value)]
        if isinstance(value, dict):
            return value | {
                member.name: await self.argument(
                    member, value[member.name], f"{place}.{member.name}"
                )
                for member in param.properties
                if member.name in value
            }
        if param.media is None or (param.role == LORA and _HUB_ID.fullmatch(value)):
            return value
        return await self._asset(place, value, param.media)

    async def _asset(self, place: str, value: str, kind: MediaKind) -> str:
        if not self.caller.may_run and not value.startswith("media://"):
            raise forbidden("brings no files")
        try:
            await self._check_owner(value)
            asset = await self.source.resolve(
                value,
                kind=kind,
                roots=self.roots,
                no_fetch=self.no_fetch,
                owner=self.caller.owner,
            )
        except Refused as error:
            raise Refused(f"{place}: {error.message}", error.hint) from None
        except (BadMedia, NotFound) as error:
            raise BadMedia(f"{place}: {error.message}", error.hint) from None
        if not value.startswith("media://"):
            await self.queue.keeping.brought(self.caller, asset)
        self.inputs[asset.uri] = replace(asset, role=_INDEX.sub("", place))
        return asset.uri

    async def _check_owner(self, value: str) -> None:
        """An asset of somebody else is not there, in the same words as one that never was."""
        if not value.startswith("media://"):
            return
        if not await self.queue.owns(self.caller, value):
            raise NotFound(f"There is no asset {value[:100]}.", "list_assets shows what there is.")
        await self.queue.keeping.check(self.caller, value)
