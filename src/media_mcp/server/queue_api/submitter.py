"""From the body of a request to a job, the same for every way in."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from typing import TypeAlias

import anyio
from anyio import to_thread

from media_mcp.catalog.catalog import Catalog
from media_mcp.catalog.model import Model, Param
from media_mcp.catalog.requests import arguments_of, heard
from media_mcp.catalog.schema import holds_media
from media_mcp.errors import BadInput, BadMedia, InvalidArguments, Problem, QueueFull
from media_mcp.job import JSON, Caller, Failure, Route, Webhook
from media_mcp.queue import Queue, Submission, Submitted
from media_mcp.server.consent import part_consent
from media_mcp.server.intake import Intake, Order
from media_mcp.server.queue_api import faults
from media_mcp.server.queue_api.files import find_asset
from media_mcp.server.queue_api.options import Options
from media_mcp.server.queue_api.target import Target
from media_mcp.server.queue_api.wire import PROBLEMS

Finder: TypeAlias = Callable[[str], Awaitable[str | None]]
DOOR = "queue"
INLINE = "sync_mode"  # the argument that asks for pictures in the result itself
OURS = "media-mcp"  # the owner under which clients that insist on one find `sketch`
LONGEST_ID = 300
REMEMBERED = 4096  # endpoint ids whose model is at hand
FULL_SECONDS = 5.0  # after which it is worth asking whether fewer requests wait
FETCH_SECONDS = 60.0  # clients send a submit again after 120 s
_LEGACY = re.compile(r"(\d+)-([A-Za-z0-9-]+)", re.ASCII)
_FETCHED = ("http://", "https://", "data:", "media://")


class Submitter:
    """Makes jobs of requests. What is wrong with an input is told by its job, not at once."""

    def __init__(
        self,
        catalog: Catalog,
        intake: Intake,
        queue: Queue,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._catalog = catalog
        self._intake = intake
        self._queue = queue
        self._clock = clock
        self._known: dict[str, Model] = {}
        self._bare: dict[str, Model] = {}

    async def model(self, endpoint: str) -> Model:
        """Return the model that an endpoint id names. Raises `NotFound` with the nearest ids.

        More parts than the id has are let be, unless they may be a misspelt id of a sibling.
        """
        known = self._known.get(endpoint)
        if known is None:
            known = await to_thread.run_sync(self._find, endpoint[:LONGEST_ID])
            self._bare[known.id] = await to_thread.run_sync(self._catalog.endpoint, known.id)
            if len(self._known) < REMEMBERED:
                self._known[endpoint] = known
        return known

    def _find(self, endpoint: str) -> Model:
        ids = {head.id for head in self._catalog.heads}
        for name in _spellings(endpoint):
            if name in ids:
                return self._catalog.get(name)
            parent = next((part for part in _prefixes(name) if part in ids), None)
            if parent and not any(known.startswith(f"{parent}/") for known in ids):
                return self._catalog.get(parent)
        return self._catalog.get(endpoint)

    async def submit(
        self, model: Model, body: JSON, options: Options, caller: Caller, target: Target
    ) -> Submitted:
        """Make a job of `body`; where that is not what the model takes, one that has failed.

        Raises `QueueFull`, `NotConfigured` when no route is ready, `BadInput` for a key that was
        used for something else, `Refused` and `StorageFailed`.
        """
        await self._check_room(model, options)
        submission = self._submission(model, options, caller, target)
        if not isinstance(body, dict):
            error = InvalidArguments([Problem("body", "must be a JSON object.")])
            entry = faults.detail([], "The body must be a JSON object.", "dict_type", {}, body)
            return await self._refuse(submission, error, [entry], {})
        route = wire_route(model)
        given = dict(body)
        try:
            body, agreed = part_consent(model, body)
            submission = replace(submission, inline=body.get(INLINE) is True, agreed=agreed)
            given = self._given(model, route, body)
            return await self._accept(submission, given, target)
        except InvalidArguments as error:
            problems = faults.of_problems(error.problems, model, route, given)
            return await self._refuse(submission, error, problems, given)
        except BadMedia as error:
            problems = faults.of_media(error.message, model, route, given)
            return await self._refuse(submission, error, problems, given)

    def _given(self, model: Model, route: Route, body: Mapping[str, JSON]) -> dict[str, JSON]:
        """Return the arguments in a body, which is written for the endpoint as it is at fal.

        How it wants its result is no argument where our card has none for that.
        """
        bare = self._bare.get(model.id, model)
        given = (
            arguments_of(model, route, body) if bare is model else heard(model, bare, route, body)
        )
        if isinstance(given.get(INLINE), bool) and model.param(INLINE) is None:
            del given[INLINE]
        return given

    async def _check_room(self, model: Model, options: Options) -> None:
        if options.most is None:
            return
        waiting = await self._queue.books.queued(model.id)
        if waiting >= options.most:
            raise QueueFull(
                f"{waiting} requests for {model.id} wait; fal_max_queue_length is {options.most}.",
                "Try again when some of them are done.",
                retry_after=FULL_SECONDS,
            )

    def _submission(
        self, model: Model, options: Options, caller: Caller, target: Target
    ) -> Submission:
        within = options.start_within
        return Submission(
            model=model,
            arguments={},
            caller=caller,
            door=DOOR,
            key=options.key,
            priority=options.priority,
            start_by=None if within is None else self._clock() + within,
            private=options.private,
            once=not options.retry,
            lifetime=options.lifetime,
            webhook=Webhook(options.webhook, target.origin) if options.webhook else None,
        )

    async def _accept(
        self, submission: Submission, given: Mapping[str, JSON], target: Target
    ) -> Submitted:
        async def ours(url: str) -> str | None:
            return await find_asset(self._queue, url, target.origin, target.base)

        media = [p for p in submission.model.inputs if p.name in given and holds_media(p)]
        if media:
            order = await self._fetched(submission, await _with_assets(media, given, ours))
        else:
            order = await self._intake.prepare(submission.model, given, submission.caller)
        seed = order.arguments.get("seed")
        asked = replace(
            submission,
            arguments=order.arguments,
            inputs=order.inputs,
            seed=seed if isinstance(seed, int) else None,
        )
        return await self._intake.keep(asked)

    async def _fetched(self, submission: Submission, given: Mapping[str, JSON]) -> Order:
        try:
            with anyio.fail_after(FETCH_SECONDS):
                return await self._intake.prepare(submission.model, given, submission.caller)
        except TimeoutError:
            raise BadMedia(
                f"The media could not be fetched within {FETCH_SECONDS:g} s.",
                "Upload them first and send their URLs.",
            ) from None

    async def _refuse(
        self,
        submission: Submission,
        error: BadInput,
        problems: list[dict[str, JSON]],
        given: Mapping[str, JSON],
    ) -> Submitted:
        """Keep the request as a job that has failed: its result tells what was wrong."""
        kept = replace(submission, arguments=faults.shortened(given))
        message = " ".join(f"{_shown(entry)}: {entry['msg']}" for entry in problems)
        if submission.private:
            problems = [{**entry, "input": None} for entry in problems]
        failure = Failure(error.code, message, error.hint)
        return await self._queue.refuse(kept, failure, {PROBLEMS: problems})


def _shown(entry: Mapping[str, JSON]) -> str:
    return ".".join(str(part) for part in entry["loc"][1:]) or "body"


def wire_route(model: Model) -> Route:
    """Return the route whose words a request is written in: fal's own, else plain ones."""
    return next((route for route in model.routes if route.backend == "fal"), Route("fal"))


def _spellings(endpoint: str) -> Iterable[str]:
    yield endpoint
    owner, _, rest = endpoint.partition("/")
    if owner == OURS and rest:
        yield rest
    if legacy := _LEGACY.fullmatch(owner):
        yield f"{legacy[1]}/{legacy[2]}{'/' if rest else ''}{rest}"


def _prefixes(endpoint: str) -> Iterable[str]:
    parts = endpoint.split("/")
    return ("/".join(parts[:count]) for count in range(len(parts) - 1, 0, -1))


async def _with_assets(
    params: Iterable[Param], given: Mapping[str, JSON], ours: Finder
) -> dict[str, JSON]:
    """Name files of ours as the assets they are, and refuse what is no address.

    Over this door a path would be one of the server's, which is none of a caller's business.
    """
    return {
        **given,
        **{p.name: await _named(p, given[p.name], p.name, ours) for p in params},
    }


async def _named(param: Param, value: JSON, place: str, ours: Finder) -> JSON:
    if isinstance(value, list) and param.items is not None:
        one = replace(param.items, media=param.media or param.items.media)
        return [await _named(one, v, f"{place}[{i}]", ours) for i, v in enumerate(value)]
    if isinstance(value, dict):
        members = [p for p in param.properties if p.name in value and holds_media(p)]
        return value | {
            p.name: await _named(p, value[p.name], f"{place}.{p.name}", ours) for p in members
        }
    if not isinstance(value, str) or param.media is None:
        return value
    if not value[:10].lower().startswith(_FETCHED):
        raise BadMedia(f"{place}: is no address.", "Send an http(s) URL or a data: URI.")
    return await ours(value) or value
