"""What a job made, in the shape that its model has at fal."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from media_mcp.catalog.catalog import Catalog
from media_mcp.catalog.model import Model, OutputSpec, ValueSpec
from media_mcp.job import Asset, Caller, Job, JobState, MediaKind, Route
from media_mcp.media import MediaStore
from media_mcp.server.queue_api import results
from media_mcp.server.queue_api.results import Results
from storagekit import LINKS

pytestmark = pytest.mark.anyio

ORIGIN = "http://box:1"
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)
IMAGE = MediaKind.IMAGE
TEXT = MediaKind.TEXT


def model(*outputs: OutputSpec, values: tuple[ValueSpec, ...] = ()) -> Model:
    return Model(
        id="a/b",
        tool="b",
        title="B",
        description="Draws.",
        task="text-to-image",
        licence="MIT",
        inputs=(),
        outputs=outputs,
        routes=(),
        values=values,
    )


class Shelf:
    """A media store and the results of jobs with what lies there."""

    def __init__(self, folder: Path) -> None:
        self.media = MediaStore(folder)

    async def put(self, role: str, data: bytes = PIXEL, mime_type: str | None = None) -> Asset:
        return await self.media.put_bytes(
            data, role=role, name="a boat", provenance={}, mime_type=mime_type
        )

    async def body(self, of: Model | None, *assets: Asset, **job: Any) -> dict[str, Any]:
        """Return the body for a job of this model; None: of one that is gone."""
        catalog = Catalog([of] if of else [])
        return await Results(catalog, self.media, LINKS).body(done(*assets, **job), ORIGIN)


def done(*assets: Asset, **changes: Any) -> Job:
    job = Job(
        id="1m82phhkdh17g7h4f2",
        model="a/b",
        state=JobState.SUCCEEDED,
        caller=Caller(),
        arguments={},
        route=Route("local"),
        seed=7,
        door="queue",
        created_at=1.0,
        started_at=2.0,
        ended_at=4.0,
        assets=assets,
    )
    return replace(job, **changes)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


async def test_a_file_has_its_address_type_name_and_size(shelf: Shelf) -> None:
    asset = await shelf.put("image")
    body = await shelf.body(model(OutputSpec("image", IMAGE, "image/png")), asset)
    assert body["image"] == {
        "url": f"{ORIGIN}/files/{asset.sha256}.png",
        "content_type": "image/png",
        "file_name": asset.path.name,
        "file_size": len(PIXEL),
        "width": 1,
        "height": 1,
    }


@pytest.mark.parametrize("shape", ["file", "files", "url", "urls"])
async def test_each_shape_is_written_as_the_model_has_it(shelf: Shelf, shape: Any) -> None:
    asset = await shelf.put("out")
    body = await shelf.body(model(OutputSpec("out", IMAGE, "image/png", shape)), asset)
    url = f"{ORIGIN}/files/{asset.sha256}.png"
    found = body["out"]
    if shape in ("url", "urls"):
        assert found == (url if shape == "url" else [url])
    else:
        assert (found if shape == "file" else found[0])["url"] == url


@pytest.mark.parametrize(("shape", "empty"), [("file", None), ("files", []), ("value", None)])
async def test_what_was_not_made_is_empty(shelf: Shelf, shape: Any, empty: Any) -> None:
    body = await shelf.body(model(OutputSpec("mask", IMAGE, "image/png", shape)))
    assert body["mask"] == empty


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"a": [1]}', {"a": [1]}),
        (b"words, and words", "words, and words"),
        (b"[" * 100_000, "[" * 100_000),
    ],
)
async def test_a_value_is_what_the_text_holds(shelf: Shelf, data: bytes, value: Any) -> None:
    asset = await shelf.put("output", data, "text/plain")
    body = await shelf.body(model(OutputSpec("output", TEXT, "text/plain", "value")), asset)
    assert body["output"] == value


async def test_a_value_that_is_the_whole_answer_has_its_members_in_the_body(shelf: Shelf) -> None:
    of = model(OutputSpec("result", TEXT, "application/json", "value"))
    whole = await shelf.put("result", b'{"output": "yes", "usage": {"tokens": 3}}')
    body = await shelf.body(of, whole)
    assert (body["output"], body["usage"]) == ("yes", {"tokens": 3})
    assert "result" not in body
    listed = await shelf.put("result", b"[1, 2]")
    assert (await shelf.body(of, listed))["result"] == [1, 2]


async def test_values_are_those_that_are_known_and_else_empty(shelf: Shelf) -> None:
    names = {
        "seed": "integer",
        "prompt": "string",
        "timings": "object",
        "has_nsfw_concepts": "array",
        "score": "number",
        "caption": "string",
    }
    of = model(values=tuple(ValueSpec(name, kind) for name, kind in names.items()))  # type: ignore[arg-type]
    body = await shelf.body(of, arguments={"prompt": "a boat"}, facts={"score": 0.5})
    assert body == {
        "seed": 7,
        "prompt": "a boat",
        "timings": {"inference": 2.0},
        "has_nsfw_concepts": [],
        "score": 0.5,
        "caption": "",
    }


async def test_facts_are_told_but_never_in_the_place_of_an_output(shelf: Shelf) -> None:
    asset = await shelf.put("image")
    of = model(OutputSpec("image", IMAGE, "image/png", "url"))
    body = await shelf.body(of, asset, facts={"image": "other", "steps": 4, "seed": 9})
    assert (body["image"].endswith(".png"), body["steps"], body["seed"]) == (True, 4, 9)


async def test_sync_mode_puts_pictures_into_the_answer(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = await shelf.put("images")
    of = model(OutputSpec("images", IMAGE, "image/png", "files"))
    body = await shelf.body(of, asset, inline=True)
    assert body["images"][0]["url"] == f"data:image/png;base64,{base64.b64encode(PIXEL).decode()}"
    monkeypatch.setattr(results, "MAX_INLINE", 10)
    body = await shelf.body(of, asset, inline=True)
    assert body["images"][0]["url"].startswith(ORIGIN)


async def test_a_job_whose_card_is_gone_still_has_its_files(shelf: Shelf) -> None:
    one, many = await shelf.put("image"), await shelf.put("images")
    body = await shelf.body(None, one, many)
    assert body["image"]["url"] == body["images"][0]["url"]
    assert body["seed"] == 7
