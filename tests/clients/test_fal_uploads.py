"""Uploads with fal's own clients: small and in parts, in Python and JavaScript, used as inputs."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

MIB = 2**20


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "A red picture.png"
    Image.new("RGB", (64, 32), "red").save(path)
    return path


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A file of more than the 100 MB from which on Python's client uploads in parts."""
    path = tmp_path / "weights.safetensors"
    block = hashlib.sha256(b"weights").digest() * 2**15
    with path.open("wb") as file:
        file.write((14).to_bytes(8, "little") + b'{"tensors":{}}')
        for _ in range(101):
            file.write(block)
    return path


def picture_uri(picture: Path) -> str:
    return f"media://{sha256(picture.read_bytes())}.png"


def inputs_of_latest(server: Any, count: int) -> list[str]:
    """Return the inputs of the latest jobs, by their content."""
    with closing(sqlite3.connect(server.data / "jobs.sqlite")) as db:
        rows = db.execute("SELECT parents FROM jobs ORDER BY n DESC LIMIT ?", (count,)).fetchall()
    return [uri for (parents,) in rows for uri in json.loads(parents)]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


PYTHON_SMALL = """
client = fal_client.SyncClient()
tell(client.upload(b"some words", "text/plain", file_name="words.txt"))
tell(client.upload_file(sys.argv[1]))
tell(client.upload_file(sys.argv[1], repository="fal"))
tell(client.upload(b"brief", "text/plain", lifecycle=fal_client.StorageSettings(expires_in="1h")))
from PIL import Image
tell(client.upload_image(Image.new("RGB", (8, 8)), "png"))
"""


def test_python_uploads_small_files(server: Any, python: Any, picture: Path) -> None:
    words, file, fallback, brief, image = python(PYTHON_SMALL, str(picture))
    assert words.startswith("https://v3.fal.media/files/")
    assert server.get(words)[:2] == (200, b"some words")
    for url in (file, fallback):
        status, data, headers = server.get(url)
        assert (status, data) == (200, picture.read_bytes())
        assert headers["content-type"] == "image/png"
    assert server.get(brief)[1] == b"brief"
    assert server.get(image)[2]["content-type"] == "image/png"


PYTHON_PARTS = """
client = fal_client.SyncClient()
url = client.upload_file(sys.argv[1])
tell(url)
"""


def test_python_uploads_a_large_file_in_parts(server: Any, python: Any, clip: Path) -> None:
    (url,) = python(PYTHON_PARTS, str(clip))
    status, data, headers = server.get(url)
    assert (status, len(data), sha256(data)) == (
        200,
        clip.stat().st_size,
        sha256(clip.read_bytes()),
    )
    assert headers["content-disposition"].startswith("attachment")
    assert list((server.data / "uploads").iterdir()) == []


PYTHON_ASYNC = """
import asyncio
async def main():
    client = fal_client.AsyncClient()
    tell(await client.upload(b"some words", "text/plain"))
    tell(await client.upload_file(sys.argv[1]))
    fal_client.client.MULTIPART_THRESHOLD = 1000
    tell(await client.upload(b"0123456789" * 1000, "text/plain"))
asyncio.run(main())
"""


def test_pythons_async_client_uploads_the_same(server: Any, python: Any, picture: Path) -> None:
    words, file, parts = python(PYTHON_ASYNC, str(picture))
    assert server.get(words)[1] == b"some words"
    assert server.get(file)[1] == picture.read_bytes()
    assert server.get(parts)[1] == b"0123456789" * 1000


PYTHON_INPUT = """
client = fal_client.SyncClient()
for repository in ("fal_v3", "fal"):
    url = client.upload_file(sys.argv[1], repository=repository)
    arguments = {"prompt": "bluer", "image_url": url}
    result = client.subscribe("fal-ai/flux/dev/image-to-image", arguments)
    tell([url, result])
"""


def test_what_python_uploads_is_an_input(server: Any, python: Any, picture: Path) -> None:
    for _, result in python(PYTHON_INPUT, str(picture)):
        made = result["images"][0]
        assert server.get(made["url"])[0] == 200
        assert made["content_type"].startswith("image/")
    assert inputs_of_latest(server, 2) == [picture_uri(picture)] * 2


PYTHON_TOO_BIG = """
import httpx
client = fal_client.SyncClient()
token = client._token_manager.get_token()
headers = {"Authorization": f"{token.token_type} {token.token}"}
def body():
    for _ in range(201):
        yield bytes(2**20)
url = "https://v3.fal.media/files/upload"
answer = httpx.post(url, content=body(), headers=headers, timeout=60)
tell([answer.status_code, answer.json()["error_type"]])
"""


def test_python_is_told_that_a_file_is_too_big(python: Any) -> None:
    assert python(PYTHON_TOO_BIG) == [[413, "file_too_large"]]


JS_SMALL = """
const words = await fal.storage.upload(new Blob(["some words"], { type: "text/plain" }));
tell(words);
const file = new File([new Uint8Array([0, 1, 2])], "data.bin");
tell(await fal.storage.upload(file, { lifecycle: { expiresIn: "1h" } }));
tell(sent);
"""


def test_javascript_uploads_small_files(server: Any, javascript: Any) -> None:
    words, data, sent = javascript(JS_SMALL)
    assert server.get(words)[1] == b"some words"
    assert server.get(data)[1] == bytes([0, 1, 2])
    assert [(method, status) for method, _, status in sent] == [("POST", 200), ("PUT", 200)] * 2


JS_INPUT = """
import { readFileSync } from "node:fs";
const blob = new Blob([readFileSync(process.argv[2])], { type: "image/png" });
const { data } = await fal.subscribe("fal-ai/nano-banana/edit",
  { input: { prompt: "bluer", image_urls: [blob] }, pollInterval: 50 });
tell(data);
"""


def test_a_blob_in_javascripts_input_is_uploaded_and_used(
    server: Any, javascript: Any, picture: Path
) -> None:
    (data,) = javascript(JS_INPUT, str(picture))
    made = data["images"][0]
    assert server.get(made["url"])[0] == 200
    assert inputs_of_latest(server, 1) == [picture_uri(picture)]


JS_PARTS = """
import { createHash } from "node:crypto";
const block = new Uint8Array(2 ** 20).map((_, index) => index % 251);
const blob = new Blob(Array(95).fill(block), { type: "video/mp4" });
const hash = createHash("sha256");
for (let n = 0; n < 95; n++) hash.update(block);
tell(await fal.storage.upload(blob));
tell(hash.digest("hex"));
tell(sent);
"""


def test_javascript_uploads_95_megabytes_in_parts(server: Any, javascript: Any) -> None:
    url, expected, sent = javascript(JS_PARTS)
    assert [method for method, _, _ in sent] == ["POST", *["PUT"] * 10, "POST"]
    assert {status for _, _, status in sent} == {200}
    status, data, _ = server.get(url)
    assert (status, len(data), sha256(data)) == (200, 95 * MIB, expected)


JS_PROXY = """
import { createFalClient as create } from "@fal-ai/client";
const proxied = create({ proxyUrl: { url: `${process.env.SERVER}/proxy`, when: "always" },
  credentials: process.env.FAL_KEY });
tell(await proxied.storage.upload(new Blob(["over the proxy"], { type: "text/plain" })));
"""


def test_javascript_uploads_through_the_proxy_protocol(server: Any, javascript: Any) -> None:
    (url,) = javascript(JS_PROXY)
    assert url.startswith(server.url)
    assert server.get(url)[1] == b"over the proxy"
