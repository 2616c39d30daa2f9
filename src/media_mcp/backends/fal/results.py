"""What a result holds: facts, and media, which are fetched at once for their addresses expire."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import anyio
from anyio import to_thread

from media_mcp.backends.base import Run
from media_mcp.backends.fal.client import Client, Patience, Request, Unanswered, Unsent
from media_mcp.backends.fal.configuration import is_http, origin
from media_mcp.backends.fal.errors import Place, out_of_sight
from media_mcp.backends.fal.together import together
from media_mcp.catalog.model import Model, OutputSpec
from media_mcp.errors import BadMedia, BadOutput
from media_mcp.job import JSON, Output
from media_mcp.media.datauri import bytes_of, is_data
from media_mcp.media.jsontext import deeper
from media_mcp.media.names import redact, shown
from media_mcp.media.shelf import Intake

SEED = "seed"
WHOLE = "result"  # the role of an output that is the whole answer
MOST_FILES = 64
FILES_AT_ONCE = 4
FILE_SECONDS = 900.0
SLOWEST = 10_000  # bytes a second
TRY_SECONDS = 20.0  # that are spent on trying a file again
LONGEST_FACT = 4000  # characters of JSON; what is longer becomes a file
DEEPEST_FACT = 16  # lists and objects in each other; so does what is deeper


@dataclass(frozen=True, slots=True)
class Link:
    """A file of a result: its role, where it is, of what type it is said to be."""

    role: str
    url: str
    mime_type: str | None
    path: Path


class Paced(Intake):
    """An intake that gives up on what comes too slowly after the first seconds of `grace`."""

    def __init__(self, path: Path, limit: int, grace: float) -> None:
        super().__init__(path, limit)
        self._until = monotonic() + grace

    def write(self, data: bytes) -> None:
        super().write(data)
        if monotonic() > self._until + self.size / SLOWEST:
            raise BadMedia(f"it comes with less than {SLOWEST} bytes a second")


class Results:
    """Reads results of one place."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def read(
        self, body: JSON, run: Run, place: Place
    ) -> tuple[tuple[Output, ...], dict[str, JSON]]:
        """Return the outputs, which are in the run's folder then, and the facts.

        Raises `BadOutput` where the result holds nothing that the model promises, and `MaybeSpent`
        for files that cannot be had.
        """
        if not isinstance(body, dict):
            raise BadOutput(f"{place.name} answered with no JSON object.{place.request}", _OTHER)
        links = list(_links(body, run))
        if len(links) > MOST_FILES:
            raise BadOutput(f"{place.name} made {len(links)} files; {MOST_FILES} are read.", _OTHER)
        texts = await to_thread.run_sync(_write_values, body, run)

        async def fetch(link: Link) -> Output:
            await self._fetch(link, place)
            return Output(link.path, link.role, link.mime_type)

        outputs = (*await together(FILES_AT_ONCE, fetch, links), *texts)
        facts, more = await to_thread.run_sync(_facts, body, run)
        if not outputs and not (facts and not _media(run.model)):
            raise _nothing(body, run.model, place)
        return (*outputs, *more), facts

    async def _fetch(self, link: Link, place: Place) -> None:
        if is_data(link.url):
            await to_thread.run_sync(_decode, link, self._limit, place)
            return
        most = min(TRY_SECONDS, self._client.configuration.patience_seconds)
        patience = Patience(most)
        while (why := await self._try_fetch(link, place)) is not None:
            link.path.unlink(missing_ok=True)
            if (seconds := patience.wait()) is None:
                raise out_of_sight(f"a file of it cannot be fetched: {why}", place, retryable=True)
            await anyio.sleep(seconds)

    async def _try_fetch(self, link: Link, place: Place) -> str | None:
        """Bring a file here; return why that did not work, if it did not."""
        grace = self._client.configuration.timeout_seconds
        intake = await to_thread.run_sync(Paced, link.path, self._limit, grace)
        try:
            with intake:
                if origin(link.url) in self._client.configuration.origins:
                    await self._from_place(link.url, intake)
                else:
                    await self._from_elsewhere(link.url, intake)
                await to_thread.run_sync(lambda: intake.finish(durable=False))
        except (BadMedia, Unsent, Unanswered) as error:
            if intake.size > self._limit:
                raise out_of_sight(_too_large(self._limit), place, retryable=False) from None
            return error.message if isinstance(error, BadMedia) else str(error)
        return None

    async def _from_place(self, url: str, intake: Intake) -> None:
        """Read a file of the place itself, on whatever network; the key is shown if it is asked."""
        for keyless in (True, False):
            request = Request("GET", url, keyless=keyless)
            grace = self._client.configuration.timeout_seconds
            coming = self._client.stream(request, seconds=FILE_SECONDS, silence=grace)
            async with coming as response:
                if keyless and response.status_code in (401, 403):
                    continue
                if response.status_code != 200:
                    raise Unanswered(f"{redact(url)} answers {response.status_code}")
                async for chunk in response.aiter_raw():
                    await to_thread.run_sync(intake.write, chunk)
                return

    async def _from_elsewhere(self, url: str, intake: Intake) -> None:
        from media_mcp.media.fetch import fetch, look_up

        await fetch(
            url,
            intake,
            limit=self._limit,
            allow_private=self._client.configuration.allow_private,
            resolver=look_up,
            seconds=FILE_SECONDS,
        )

    @property
    def _limit(self) -> int:
        return self._client.configuration.max_output_bytes


_OTHER = "Try again, or use another model."


def _too_large(limit: int) -> str:
    return f"a file of it is larger than max_output_bytes, which is {limit:,}"


def _media(model: Model) -> list[OutputSpec]:
    return [spec for spec in model.outputs if spec.shape != "value"]


def _links(body: Mapping[str, JSON], run: Run) -> Iterator[Link]:
    for number, spec in enumerate(_media(run.model)):
        for index, (url, told) in enumerate(_addresses(body.get(spec.role))):
            mime_type = told if isinstance(told, str) else spec.mime_type
            path = run.folder / f"{number}-{index}-{_safe(spec.role)}"
            yield Link(spec.role, url, mime_type, path)


def _addresses(value: JSON) -> Iterator[tuple[str, JSON]]:
    """Yield each file's address and type, in whatever shape: card and place may differ."""
    if isinstance(value, list):
        for one in value:
            yield from _addresses(one)
    elif isinstance(value, dict) and isinstance(value.get("url"), str):
        yield value["url"], value.get("content_type")
    elif isinstance(value, dict):
        for one in value.values():
            yield from _addresses(one) if isinstance(one, dict) else ()
    elif isinstance(value, str) and _is_address(value):
        yield value, None


def _is_address(text: str) -> bool:
    return is_data(text) or is_http(text)


def _write_values(body: Mapping[str, JSON], run: Run) -> list[Output]:
    """Write the outputs that are texts and data in the result itself."""
    outputs = []
    for spec in run.model.outputs:
        whole = spec.role == WHOLE and WHOLE not in body
        value = body if whole else body.get(spec.role)
        if spec.shape == "value" and value is not None:
            outputs.append(_write(spec, value, run.folder))
    return outputs


def _write(spec: OutputSpec, value: JSON, folder: Path) -> Output:
    plain = isinstance(value, str) and spec.mime_type != "application/json"
    text = value if plain else json.dumps(value, ensure_ascii=False)
    path = folder / f"{_safe(spec.role)}.{'txt' if plain else 'json'}"
    path.write_text(text, encoding="utf-8", errors="replace")
    return Output(path, spec.role, spec.mime_type)


def _facts(body: Mapping[str, JSON], run: Run) -> tuple[dict[str, JSON], list[Output]]:
    """Return what the model promises beside its media; what is too long for a fact as a file."""
    facts: dict[str, JSON] = {}
    files: list[Output] = []
    outputs = {spec.role for spec in run.model.outputs}
    for name in dict.fromkeys([*(value.name for value in run.model.values), SEED]):
        value = body.get(name)
        echo = name != SEED and value == run.arguments.get(name)
        if value in (None, "", [], {}) or name in outputs or echo:
            continue
        text = json.dumps(value, ensure_ascii=False)
        if name == SEED and type(value) is not int:
            continue
        if len(text) <= LONGEST_FACT and not deeper(value, DEEPEST_FACT):
            facts[name] = value
        elif WHOLE not in outputs:
            path = run.folder / f"{_safe(name)}.json"
            path.write_text(text, encoding="utf-8", errors="replace")
            files.append(Output(path, name, "application/json"))
    return facts, files


def _nothing(body: Mapping[str, JSON], model: Model, place: Place) -> BadOutput:
    wanted = ", ".join(spec.role for spec in model.outputs) or "anything"
    held = shown(", ".join(map(str, body)), 200) or "nothing"
    return BadOutput(
        f"{place.name} answered without {wanted}; its result holds {held}.{place.request}", _OTHER
    )


def _decode(link: Link, limit: int, place: Place) -> None:
    try:
        with Intake(link.path, limit) as intake:
            for chunk in bytes_of(link.url):
                intake.write(chunk)
            if intake.size:
                return
    except BadMedia:
        raise out_of_sight(_too_large(limit), place, retryable=False) from None
    except ValueError:
        pass
    raise BadOutput(f"{place.name} answered with a broken data: URI.{place.request}", _OTHER)


def _safe(role: str) -> str:
    """Return a role as a file name."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "-" for c in role)[:60]
