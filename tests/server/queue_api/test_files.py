"""Stored media by URL: what is served, how, to whom, and for how long."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from PIL import Image
from pydantic import SecretStr

from media_mcp.job import Asset, Caller
from media_mcp.queue import Submission, Upload
from media_mcp.server.auth import Gate
from media_mcp.server.queue_api.files import asset_of, find_asset
from media_mcp.server.queue_api.keys import ServerKey
from media_mcp.server.queue_api.links import Links, url_of
from storagekit import MODEL, Served, serving

pytestmark = pytest.mark.anyio

HASH = "a" * 64
NAME = "b" * 32
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"><script>x()</script></svg>'


@pytest.fixture
async def served(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Served]:
    async with serving(tmp_path / "data") as opened:
        yield opened


async def kept(served: Served, data: bytes, mime_type: str | None = None) -> Asset:
    """Keep bytes as an upload for good."""
    asset = await served.app.media.put_bytes(
        data, role="input", name="A file", provenance={}, mime_type=mime_type
    )
    await served.app.queue.uploads.keep(Upload(asset.uri, "local"))
    return asset


async def got(served: Served, asset: Asset, **headers: str) -> httpx2.Response:
    url = url_of("", asset)
    return await served.http.get(url, headers={k.replace("_", "-"): v for k, v in headers.items()})


def picture(folder: Path) -> bytes:
    path = folder / "x.png"
    Image.new("RGB", (4, 2), "red").save(path)
    return path.read_bytes()


async def test_a_file_is_served_with_its_type_and_name(served: Served, tmp_path: Path) -> None:
    asset = await kept(served, picture(tmp_path))
    response = await got(served, asset)
    assert (response.status_code, response.content) == (200, asset.path.read_bytes())
    headers = response.headers
    assert headers["content-type"] == "image/png"
    assert headers["content-disposition"] == f'inline; filename="{asset.path.name}"'
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "sandbox" in headers["content-security-policy"]
    assert (headers["etag"], headers["accept-ranges"]) == (f'"{asset.sha256}"', "bytes")
    head = await served.http.head(url_of("", asset))
    assert (head.content, head.headers["content-length"]) == (b"", str(asset.size))


@pytest.mark.parametrize(
    ("data", "claimed", "disposition", "content_type"),
    [
        (SVG, None, "attachment", "image/svg+xml"),
        (b"<!DOCTYPE html><script>x()</script>", None, "inline", "text/plain; charset=utf-8"),
        (b"# Words", "text/markdown", "attachment", "text/markdown; charset=utf-8"),
        (b'{"a": 1}', None, "attachment", "application/json; charset=utf-8"),
        (b"%PDF-1.7 \x00", None, "attachment", "application/pdf"),
        (b"\x00\x01\x02", None, "attachment", "application/octet-stream"),
    ],
)
async def test_what_could_run_in_a_browser_is_a_download(
    served: Served, data: bytes, claimed: str | None, disposition: str, content_type: str
) -> None:
    response = await got(served, await kept(served, data, claimed))
    assert response.headers["content-disposition"].startswith(f"{disposition}; ")
    assert response.headers["content-type"] == content_type
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("asked", "status", "content", "told"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=8-", 206, b"89", "bytes 8-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=4-99", 206, b"456789", "bytes 4-9/10"),
        ("bytes=10-", 416, None, "bytes */10"),
        ("lines=1-2", 400, None, None),
    ],
)
async def test_parts_of_a_file_can_be_had(
    served: Served, asked: str, status: int, content: bytes | None, told: str | None
) -> None:
    response = await got(served, await kept(served, b"0123456789"), range=asked)
    assert (response.status_code, response.headers.get("content-range")) == (status, told)
    assert content is None or response.content == content


async def test_what_the_client_has_is_not_sent_again(served: Served) -> None:
    asset = await kept(served, b"0123456789")
    for etag in (f'"{asset.sha256}"', f'W/"{asset.sha256}"', f'"x", "{asset.sha256}"'):
        response = await got(served, asset, if_none_match=etag)
        assert (response.status_code, response.content) == (304, b"")
    assert (await got(served, asset, if_none_match='"x"')).status_code == 200
    other = await got(served, asset, range="bytes=0-1", if_range='"x"')
    assert (other.status_code, other.content) == (200, b"0123456789")


@pytest.mark.parametrize(
    "path",
    [
        f"/files/{HASH}.png",
        f"/files/{NAME}.png",
        "/files/x.png",
        "/files/%2e%2e/server.key",
        f"/files/{HASH}.png/x",
        f"/files/{HASH.upper()}.png",
        "/files/",
    ],
)
async def test_what_is_not_there_is_not_found(served: Served, path: str) -> None:
    response = await served.http.get(path)
    assert response.status_code == 404
    assert response.json()["detail"] == "There is no such file here, or its time is over."


async def test_a_file_whose_time_is_over_is_not_found(served: Served) -> None:
    asset = await served.app.media.put_bytes(b"brief", role="input", name="x", provenance={})
    await served.app.queue.uploads.keep(Upload(asset.uri, "local", NAME, time.time() + 60))
    for url in (url_of("", asset), f"/files/{NAME}.txt"):
        assert (await served.http.get(url)).content == b"brief"
    late = await served.app.media.put_bytes(b"late", role="input", name="x", provenance={})
    await served.app.queue.uploads.keep(Upload(late.uri, "local", "c" * 32, time.time() - 1))
    for url in (url_of("", late), f"/files/{'c' * 32}.txt"):
        assert (await served.http.get(url)).status_code == 404


async def test_an_input_from_this_machine_is_not_served(served: Served) -> None:
    asset = await served.app.media.put_bytes(b"private", role="input", name="x", provenance={})
    call = Submission(MODEL, {"prompt": "p"}, Caller(), "mcp", inputs={asset.uri: asset})
    job = (await served.app.queue.submit(call)).job
    job = await served.app.queue.wait(job.id, Caller(), 10)
    assert (await got(served, asset)).status_code == 404
    assert (await got(served, job.assets[0])).content == b"p"


async def test_a_file_that_was_removed_by_hand_is_not_found(served: Served) -> None:
    asset = await kept(served, b"words")
    asset.path.unlink()
    assert (await got(served, asset)).status_code == 404


async def test_where_keys_are_asked_for_a_file_is_seen_by_its_owner_or_by_a_link(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path / "data", api_key="k") as locked:
        asset = await kept(locked, b"words")
        assert (await got(locked, asset)).status_code == 404
        assert (await got(locked, asset, authorization="Key k")).content == b"words"
        links = Links(ServerKey.load(tmp_path / "data"), Gate(SecretStr("k")), 60)
        link = links.url(locked.url, asset, "local")
        assert (await locked.http.get(link)).content == b"words"
        assert (await locked.http.get(link[:-1])).status_code == 404


async def test_a_link_holds_for_a_while_and_for_its_own_file(tmp_path: Path) -> None:
    key, asset = ServerKey(bytes(32)), Asset(f"media://{HASH}.png", Path("x"), "image", "", 1)
    now = time.time()
    made = Links(key, Gate(SecretStr("k")), 60, lambda: now)
    query = made.url("", asset, "bob").partition("?")[2]
    assert made.opens(f"{HASH}.png", query, ["ann", "bob"]) == "bob"
    assert made.opens(f"{HASH}.png", query, ["ann"]) is None
    assert made.opens(f"{'c' * 64}.png", query, ["bob"]) is None
    late = Links(key, Gate(SecretStr("k")), 60, lambda: now + 61)
    assert late.opens(f"{HASH}.png", query, ["bob"]) is None


def test_a_url_names_the_content() -> None:
    asset = Asset(f"media://{HASH}.png", Path("x"), "image", "image/png", 1)
    assert url_of("https://here:1/", asset) == f"https://here:1/files/{HASH}.png"


@pytest.mark.parametrize(
    ("url", "ours"),
    [
        (f"http://here:1/files/{HASH}.png", True),
        (f"HTTP://HERE:1/cdn/files/{HASH}.png?x=1", True),
        (f"http://there/files/{HASH}.png", True),
        (f"https://v3.fal.media/files/{HASH}.png", True),
        (f"https://v3b.fal.media/files/{HASH}.png", True),
        (f"https://rest.fal.ai/files/{HASH}.png", True),
        (f"http://here/files/{HASH}.png", False),
        (f"http://here:1@evil.com/files/{HASH}.png", False),
        (f"https://fal.media.evil.com/files/{HASH}.png", False),
        (f"https://evilfal.media/files/{HASH}.png", False),
        (f"http://here:1/files/{HASH}", False),
        (f"http://here:1/x/files/{HASH}.png", False),
        (f"file://here:1/files/{HASH}.png", False),
        (f"media://{HASH}.png", False),
        ("http://[/", False),
        ("", False),
    ],
)
def test_files_of_ours_are_known_by_their_url(url: str, ours: bool) -> None:
    found = asset_of(url, "http://here:1", "http://there/")
    assert found == (f"media://{HASH}.png" if ours else None)


async def test_uploads_are_known_by_the_names_they_were_given(served: Served) -> None:
    await served.app.queue.uploads.keep(Upload(f"media://{HASH}.png", "local", NAME))
    named, queue = f"{served.url}/files/{NAME}.jpg", served.app.queue
    assert asset_of(named, served.url) is None
    assert await find_asset(queue, named, served.url) == f"media://{HASH}.png"
    assert await find_asset(queue, named, "http://elsewhere") is None
    hashed = f"{served.url}/files/{HASH}.png"
    assert await find_asset(queue, hashed, served.url) == f"media://{HASH}.png"
    assert await find_asset(queue, f"{served.url}/files/{'c' * 32}.jpg", served.url) is None
