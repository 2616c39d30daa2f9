"""Inputs at a place: each content once, in every dialect, remembered until they expire."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.responses import JSONResponse, Response

from falplace import KEY, Place, picture
from media_mcp.backends.base import Run
from media_mcp.backends.fal import Fal, uploads
from media_mcp.catalog.model import Model, Param
from media_mcp.errors import BackendFailed, BadMedia, MediaError
from media_mcp.job import Asset, MediaKind

pytestmark = pytest.mark.anyio
Runs = Callable[..., Run]
Fals = Callable[..., Fal]
Assets = Callable[..., Asset]


@pytest.fixture
def asset_of(tmp_path: Path) -> Assets:
    def make(data: bytes, name: str = "a red boat!.png") -> Asset:
        sha256 = hashlib.sha256(data).hexdigest()
        path = tmp_path / name
        path.write_bytes(data)
        uri = f"media://{sha256}.png"
        return Asset(uri, path, MediaKind.IMAGE, "image/png", len(data))

    return make


@pytest.fixture
def editing(fal_run: Runs, flux: Model) -> Callable[..., Run]:
    """Make runs of a model that takes pictures, also nested ones."""
    model = replace(flux, inputs=(Param("image", "string"), Param("elements", "array")))

    def make(*assets: Asset, **more: Any) -> Run:
        first, *others = assets
        elements = [{"url": one.uri, "note": "media://nothing"} for one in others]
        spec = {"endpoint": "fal-ai/flux/dev", "map": {"image": "image_url"}}
        inputs = {asset.uri: asset for asset in assets}
        return fal_run(model, spec=spec, inputs=inputs, image=first.uri, elements=elements, **more)

    return make


async def test_inputs_are_uploaded_and_their_addresses_take_their_place(
    place: Place, fal_of: Fals, editing: Runs, asset_of: Assets
) -> None:
    first, second = asset_of(picture("red")), asset_of(picture("green"), "b.png")

    await fal_of(upload_seconds=3600).run(editing(first, second))

    body = place.only.body
    assert place.files[body["image_url"].rpartition("/")[2]] == first.path.read_bytes()
    (element,) = body["elements"]
    assert place.files[element["url"].rpartition("/")[2]] == second.path.read_bytes()
    assert element["note"] == "media://nothing"
    calls = {c.headers["x-fal-file-name"]: c for c in place.calls if c.what == "upload"}
    assert set(calls) == {"a-red-boat-.png", "b.png"}
    call = calls["b.png"]
    assert call.headers["authorization"] == "Bearer tok"
    assert call.headers["content-type"] == "image/png"
    assert "content-length" in call.headers and "transfer-encoding" not in call.headers
    lifetime = json.loads(call.headers["x-fal-object-lifecycle"])
    assert lifetime == {"expiration_duration_seconds": 3600}
    assert place.count("token") == 1
    assert place.last("token").headers["authorization"] == f"Key {KEY}"


async def test_each_content_is_uploaded_once_by_many_jobs_and_after_a_restart(
    place: Place, fal_of: Fals, editing: Runs, asset_of: Assets, tmp_path: Path
) -> None:
    asset = asset_of(picture("red"))
    fal = fal_of()

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(fal.run, editing(asset))
    await fal_of().run(editing(asset))

    assert place.count("upload") == 1
    assert len({asked.body["image_url"] for asked in place.asked.values()}) == 1
    memory = tmp_path / "fal" / "uploads.json"
    assert stat.S_IMODE(memory.stat().st_mode) == 0o600


async def test_what_is_about_to_expire_is_uploaded_again(
    place: Place, fal_of: Fals, editing: Runs, asset_of: Assets, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = asset_of(picture("red"))
    fal = fal_of(upload_seconds=100)
    await fal.run(editing(asset))
    now = uploads.time.time()

    monkeypatch.setattr(uploads.time, "time", lambda: now + 49)
    await fal.run(editing(asset))
    assert place.count("upload") == 1

    monkeypatch.setattr(uploads.time, "time", lambda: now + 51)
    await fal.run(editing(asset))
    assert place.count("upload") == 2


@pytest.mark.parametrize("text", ["", "[1]", '{"a": 7}', '{"a": ["u", "soon"]}', "{" * 9])
async def test_a_memory_that_cannot_be_read_is_an_empty_one(
    place: Place, fal_of: Fals, editing: Runs, asset_of: Assets, tmp_path: Path, text: str
) -> None:
    (tmp_path / "fal").mkdir()
    (tmp_path / "fal" / "uploads.json").write_text(text)

    await fal_of().run(editing(asset_of(picture("red"))))

    assert place.count("upload") == 1


async def test_a_memory_that_cannot_be_written_costs_nothing(
    place: Place, fal_of: Fals, editing: Runs, asset_of: Assets, tmp_path: Path
) -> None:
    (tmp_path / "fal").write_text("a file where the folder should be")

    assert (await fal_of().run(editing(asset_of(picture("red"))))).outputs


async def test_a_file_that_the_place_lost_is_uploaded_anew_and_the_call_made_again(
    place: Place, fal_of: Fals, editing: Runs, asset_of: Assets
) -> None:
    asset = asset_of(picture("red"))
    fal = fal_of(idempotent_submit=True)
    place.idempotent = True
    await fal.run(editing(asset))
    lost = place.only.body["image_url"]
    detail = [{"loc": ["body", "image_url"], "msg": "gone", "type": "file_download_error"}]
    place.outcome = lambda asked: (
        JSONResponse({"detail": detail}, 422)
        if asked.body["image_url"] == lost
        else place.images(asked)
    )

    run = editing(asset)
    assert (await fal.run(run)).outputs

    assert place.count("upload") == 2
    last = list(place.asked.values())[-1]
    assert last.key.startswith(f"{run.job_id}.")


async def test_a_file_that_was_just_uploaded_and_cannot_be_read_is_the_callers_to_mend(
    place: Place, fal_of: Fals, editing: Runs, asset_of: Assets
) -> None:
    detail = [{"loc": ["body", "image_url"], "msg": "gone", "type": "file_download_error"}]
    place.outcome = lambda _: JSONResponse({"detail": detail}, 422)

    with pytest.raises(MediaError, match="image: gone"):
        await fal_of().run(editing(asset_of(picture("red"))))
    assert place.count("submit") == 1


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a file of a few kilobytes count as large."""
    monkeypatch.setattr(uploads, "WHOLE", 1000)
    monkeypatch.setattr(uploads, "PART", 700)


async def test_a_large_file_goes_in_parts_with_the_token(
    place: Place, fal_of: Fals, editing: Runs, asset_of: Assets, small_parts: None
) -> None:
    data = os.urandom(2000)
    place.instead["part"] = [Response("", 502)]

    await fal_of().run(editing(asset_of(data)))

    assert place.files["large"] == data
    assert place.only.body["image_url"] == f"{place.base}/cdn/files/large"
    assert sorted(place.parts) == [1, 2, 3]
    assert place.last("part").headers["authorization"] == "Bearer tok"


async def test_the_javascript_way_asks_for_an_address_and_shows_it_no_key(
    place: Place, fal_of: Fals, editing: Runs, asset_of: Assets
) -> None:
    asset = asset_of(picture("red"))

    await fal_of(upload="initiate").run(editing(asset))

    assert place.files["put"] == asset.path.read_bytes()
    assert place.only.body["image_url"] == f"{place.base}/files/put"
    assert "authorization" not in place.last("put").headers
    assert place.last("initiate").headers["authorization"] == f"Key {KEY}"
    assert place.last("initiate").path.endswith("/initiate?storage_type=fal-cdn-v3")


async def test_a_large_file_goes_in_parts_the_javascript_way(
    place: Place, fal_of: Fals, editing: Runs, asset_of: Assets, small_parts: None
) -> None:
    data = os.urandom(1400)

    await fal_of(upload="initiate").run(editing(asset_of(data)))

    assert place.files["large"] == data
    assert sorted(place.parts) == [1, 2]
    assert place.last("part").path == "/put/2?signed=1" or place.last("part").path.startswith(
        "/put/"
    )
    assert place.last("complete").path == "/put/complete?signed=1"
    assert "authorization" not in place.last("part").headers


async def test_inline_media_go_with_the_call_while_they_are_small(
    place: Place, fal_of: Fals, editing: Runs, asset_of: Assets, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = asset_of(picture("red"))
    fal = fal_of(upload="inline")

    await fal.run(editing(asset))

    data = base64.b64encode(asset.path.read_bytes()).decode()
    assert place.only.body["image_url"] == f"data:image/png;base64,{data}"
    assert place.count("upload") == 0
    monkeypatch.setattr(uploads, "MOST_INLINE", 10)
    with pytest.raises(BadMedia, match=r"has \d+ bytes; this place takes 10 in a call"):
        await fal.run(editing(asset))


@pytest.mark.parametrize(
    ("what", "answer", "message"),
    [
        ("upload", JSONResponse({}), "without access_url"),
        ("upload", JSONResponse({"access_url": "file:///etc/passwd"}), "without access_url"),
        ("upload", JSONResponse([]), "without access_url"),
        ("token", JSONResponse({"token": "a\nb"}), "without token"),
        ("upload", JSONResponse({"detail": "no room"}, 507, {"x-fal-request-id": "r"}), "no room"),
    ],
)
async def test_an_upload_that_is_answered_oddly_is_told(
    place: Place,
    fal_of: Fals,
    editing: Runs,
    asset_of: Assets,
    what: str,
    answer: Response,
    message: str,
) -> None:
    place.instead[what] = [answer]

    with pytest.raises(BackendFailed, match=message) as caught:
        await fal_of(patience_seconds=1).run(editing(asset_of(picture("red"))))

    assert caught.value.retryable
    assert place.count("submit") == 0


async def test_a_part_without_a_tag_is_told(
    place: Place, fal_of: Fals, editing: Runs, asset_of: Assets, small_parts: None
) -> None:
    place.instead["part"] = [Response()] * 3

    with pytest.raises(BackendFailed, match="without etag"):
        await fal_of().run(editing(asset_of(os.urandom(2000))))


@pytest.mark.parametrize(
    "to",
    ["https://evil.example/put", "https://notfal.media/x", "http://v3.fal.media/x", "https://[/x"],
)
async def test_a_file_is_sent_to_no_host_but_those_that_are_named(
    place: Place, fal_of: Fals, editing: Runs, asset_of: Assets, to: str
) -> None:
    body = {"upload_url": to, "file_url": f"{place.base}/files/put"}
    place.instead["initiate"] = [JSONResponse(body)]
    fal = fal_of(upload="initiate", upload_hosts=["fal.media"])

    with pytest.raises(BackendFailed, match=r"which is not its own|without upload_url"):
        await fal.run(editing(asset_of(picture("red"))))


async def test_a_named_host_may_get_files(
    place: Place, fal_of: Fals, editing: Runs, asset_of: Assets
) -> None:
    body = {"upload_url": "https://v3.fal.media.invalid/x", "file_url": f"{place.base}/files/put"}
    place.instead["initiate"] = [JSONResponse(body)]
    fal = fal_of(upload="initiate", upload_hosts=["invalid"], patience_seconds=0.3)

    with pytest.raises(BackendFailed, match="cannot be reached"):
        await fal.run(editing(asset_of(picture("red"))))


async def test_a_token_is_asked_for_again_once_it_has_expired(
    place: Place, fal_of: Fals, editing: Runs, asset_of: Assets, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.instead["token"] = [JSONResponse({"token": "short", "expires_at": "soon"})]
    fal = fal_of()
    now = uploads.time.time()
    for index, (color, later) in enumerate([("red", 0), ("green", 30), ("blue", 90)]):
        monkeypatch.setattr(uploads.time, "time", lambda later=later: now + later)
        await fal.run(editing(asset_of(picture(color), f"{index}.png")))

    shown = [c.headers["authorization"] for c in place.calls if c.what == "upload"]
    assert shown == ["Bearer short", "Bearer short", "Bearer tok"]
    assert place.count("token") == 2
