"""What a job made, in the shape that its model has at fal."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from contextlib import suppress

from media_mcp.catalog.catalog import Catalog
from media_mcp.catalog.model import Model, OutputSpec, ValueSpec
from media_mcp.errors import NotFound
from media_mcp.job import JSON, Asset, Job, MediaKind
from media_mcp.media import MediaStore
from media_mcp.media.jsontext import loads
from media_mcp.queue.sentences import was_removed
from media_mcp.server.queue_api.links import Links

MAX_INLINE = 8 * 2**20  # bytes of a picture that `sync_mode` puts into the answer
WHOLE = "result"  # the role of an output that is the whole answer
_EMPTY: Mapping[str, JSON] = {"string": "", "array": [], "object": {}}


class Results:
    """Writes results. Files are addresses under the `origin` that the asking client can reach."""

    def __init__(self, catalog: Catalog, media: MediaStore, links: Links) -> None:
        self._links = links
        self._catalog = catalog
        self._media = media

    async def body(self, job: Job, origin: str) -> dict[str, JSON]:
        """Return the body for a job that succeeded: its outputs, its model's values, its facts.

        Raises `NotFound` where a part of it stood in a file that is gone.
        """
        model = self._model(job)
        body: dict[str, JSON] = {}
        for spec in _specs(job, model):
            made = [asset for asset in job.assets if asset.role == spec.role]
            body |= await self._output(spec, made, job, origin)
        return body | _values(model.values if model else (), job, body) | _facts(job, body)

    def _model(self, job: Job) -> Model | None:
        try:
            return self._catalog.get(job.model)
        except NotFound:  # its card is gone: the files are still there
            return None

    async def _output(
        self, spec: OutputSpec, made: Sequence[Asset], job: Job, origin: str
    ) -> dict[str, JSON]:
        if spec.shape == "value":
            media = self._media.of(job.caller.owner)
            return _as_value(spec, [await _read(media, asset) for asset in made])
        urls = [await self._url(asset, origin, job) for asset in made]
        if spec.shape in ("url", "urls"):
            return {spec.role: urls if spec.shape == "urls" else _first(urls)}
        files = [_file(asset, url) for asset, url in zip(made, urls, strict=True)]
        return {spec.role: files if spec.shape == "files" else _first(files)}

    async def _url(self, asset: Asset, origin: str, job: Job) -> str:
        owner = job.caller.owner
        linked = asset.kind is not MediaKind.IMAGE or asset.size > MAX_INLINE or asset.removed
        if linked or not job.inline:
            return self._links.url(origin, asset, owner)
        data = base64.b64encode(await self._media.of(owner).read(asset.uri)).decode()
        return f"data:{asset.mime_type};base64,{data}"


async def _read(media: MediaStore, asset: Asset) -> JSON:
    """Return what a text holds: its JSON if it is that, else the text. Raises `NotFound`."""
    if asset.removed:
        raise was_removed(asset.uri, asset.removed)
    content = await media.read(asset.uri)
    with suppress(ValueError):
        return loads(content)
    return content.decode(errors="replace")


def _specs(job: Job, model: Model | None) -> Sequence[OutputSpec]:
    """Return the outputs that the model declares, and those that the job made besides."""
    declared = model.outputs if model else ()
    roles = dict.fromkeys(asset.role for asset in job.assets)
    extra = [role for role in roles if role not in {spec.role for spec in declared}]
    return [*declared, *(_guessed(role, job) for role in extra)]


def _guessed(role: str, job: Job) -> OutputSpec:
    asset = next(asset for asset in job.assets if asset.role == role)
    return OutputSpec(role, asset.kind, asset.mime_type, "files" if role.endswith("s") else "file")


def _as_value(spec: OutputSpec, values: Sequence[JSON]) -> dict[str, JSON]:
    """Return a value under its name; one that is the whole answer has its members there."""
    value = _first(values)
    if spec.role == WHOLE and isinstance(value, dict):
        return value
    return {spec.role: value}


def _first(values: Sequence[JSON]) -> JSON:
    return values[0] if values else None


def _file(asset: Asset, url: str) -> dict[str, JSON]:
    known = {"width": asset.width, "height": asset.height, "duration": asset.duration}
    return {
        "url": url,
        "content_type": asset.mime_type,
        "file_name": asset.path.name,
        "file_size": asset.size,
        **{name: value for name, value in known.items() if value is not None},
    }


def _values(specs: Sequence[ValueSpec], job: Job, body: Mapping[str, JSON]) -> dict[str, JSON]:
    """Return the values that the model promises: known ones, else empty ones of their type."""
    known = {"seed": job.seed, "prompt": job.arguments.get("prompt")}
    timed = {"inference": job.seconds} if job.seconds is not None else {}
    known |= {"timings": timed, **job.facts}
    return {
        spec.name: _fitting(known.get(spec.name), spec) for spec in specs if spec.name not in body
    }


def _fitting(value: JSON, spec: ValueSpec) -> JSON:
    return _EMPTY.get(spec.type) if value is None else value


def _facts(job: Job, body: Mapping[str, JSON]) -> dict[str, JSON]:
    """Return the seed and what else the backend told, where no output has that name."""
    facts = {"seed": job.seed, **job.facts}
    return {name: value for name, value in facts.items() if name not in body}
