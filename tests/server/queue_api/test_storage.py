"""Uploads in both dialects: small, in parts, too big, broken off, by whom, and for how long."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from media_mcp.job import Caller, MediaKind
from media_mcp.server.queue_api import uploads
from media_mcp.server.queue_api.files import find_asset
from storagekit import Served, serving

pytestmark = pytest.mark.anyio

MIB = 2**20
LIMIT = 4 * MIB
ME = Caller()
KEY = {"Authorization": "Key k"}
SAFETENSORS = (19).to_bytes(8, "little") + b'{"__metadata__":{}}'


@pytest.fixture
async def served(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Served]:
    async with serving(tmp_path / "data", max_input_bytes=LIMIT) as opened:
        yield opened


@pytest.fixture
async def locked(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Served]:
    async with serving(tmp_path / "data", max_input_bytes=LIMIT, api_key="k") as opened:
        yield opened


async def token(served: Served, **headers: str) -> dict[str, str]:
    """Return the header that Python's client shows to the cdn."""
    url = "/rest/storage/auth/token?storage_type=fal-cdn-v3"
    answer = (await served.http.post(url, json={}, headers=headers)).json()
    return {"Authorization": f"{answer['token_type']} {answer['token']}"}


async def announced(served: Served, how: str = "initiate", **headers: str) -> dict[str, str]:
    """Announce a file as JavaScript's client does."""
    url = f"/rest/storage/upload/{how}?storage_type=fal-cdn-v3"
    asked = {"file_name": "A cat.PNG", "content_type": "image/png"}
    response = await served.http.post(url, json=asked, headers=headers)
    assert response.status_code == 200, response.text
    answer: dict[str, str] = response.json()
    return answer


async def opened_parts(served: Served, **headers: str) -> str:
    """Open a multipart upload as Python's client does; returns the address of its parts."""
    headers |= {"X-Fal-File-Name": "clip.mp4", "Content-Type": "video/mp4"}
    response = await served.http.post("/files/upload/multipart", headers=headers)
    answer = response.json()
    return f"{answer['access_url']}/multipart/{answer['uploadId']}"


async def content(served: Served, url: str) -> bytes | None:
    response = await served.http.get(url)
    return response.content if response.status_code == 200 else None


async def uri_of(served: Served, url: str) -> str:
    uri = await find_asset(served.app.queue, url, served.url)
    assert uri is not None
    return uri


def left_over(served: Served) -> list[Path]:
    """Return what lies in the folders of things that are being taken in."""
    data = served.app.settings.data_dir
    folders = (data / "uploads", data / "assets" / "staging")
    return [path for folder in folders if folder.is_dir() for path in folder.iterdir()]


def refusal(response: httpx2.Response) -> tuple[int, str, str]:
    told = response.json()
    assert told["message"] == told["detail"]
    return response.status_code, response.headers["x-fal-error-type"], told["detail"]


# Small files


async def test_python_gets_a_token_and_uploads_with_it(locked: Served) -> None:
    url = "/rest/storage/auth/token?storage_type=fal-cdn-v3"
    answer = (await locked.http.post(url, json={}, headers=KEY)).json()
    assert (answer["token_type"], answer["base_url"]) == ("Bearer", locked.url)
    assert 3590 < datetime.fromisoformat(answer["expires_at"]).timestamp() - time.time() <= 3600
    headers = {"Authorization": f"Bearer {answer['token']}", "X-Fal-File-Name": "My words.txt"}
    response = await locked.http.post("/cdn/files/upload", content=b"words", headers=headers)
    access_url = response.json()["access_url"]
    assert access_url.startswith(f"{locked.url}/files/")
    assert await content(locked, access_url) == b"words"
    uri = await uri_of(locked, access_url)
    assert await locked.app.queue.owns(ME, uri)
    assert not await locked.app.queue.owns(Caller("bob"), uri)
    asset = await locked.app.media.get(uri)
    assert (asset.role, asset.path.name.startswith("my-words-")) == ("input", True)
    assert left_over(locked) == []


async def test_the_address_of_a_token_is_that_of_the_media_host(served: Served) -> None:
    url, headers = "/storage/auth/token", {"Host": "rest.fal.ai"}
    answer = (await served.http.post(url, json={}, headers=headers)).json()
    assert answer["base_url"] == "http://v3.fal.media"


async def test_javascript_announces_a_file_and_puts_it_without_a_key(locked: Served) -> None:
    place = await announced(locked, **KEY)
    assert place["file_url"].partition("?")[0].endswith(".png")
    assert await content(locked, place["file_url"]) is None
    response = await locked.http.put(place["upload_url"], content=b"bytes \x00")
    assert response.status_code == 200
    assert await content(locked, place["file_url"]) == b"bytes \x00"
    assert await locked.app.queue.owns(ME, await uri_of(locked, place["file_url"]))


async def test_pythons_fallback_puts_with_the_key(locked: Served) -> None:
    url = "/rest/storage/upload/initiate?storage_type=gcs"
    asked = {"file_name": "x.weird-extension", "content_type": "audio/mpeg;x=1"}
    place = (await locked.http.post(url, json=asked, headers=KEY)).json()
    assert place["file_url"].partition("?")[0].endswith(".mpeg")
    await locked.http.put(place["upload_url"], content=b"\x00", headers=KEY)
    assert await content(locked, place["file_url"]) == b"\x00"


@pytest.mark.parametrize("asked", [{}, {"file_name": 7, "content_type": None}, {"file_name": ""}])
async def test_a_file_without_a_name_gets_one(served: Served, asked: dict[str, Any]) -> None:
    place = (await served.http.post("/rest/storage/upload/initiate", json=asked)).json()
    assert place["file_url"].partition("?")[0].endswith(".bin")


async def test_a_put_that_is_repeated_is_answered_as_before(served: Served) -> None:
    place = await announced(served)
    for _ in range(2):
        assert (await served.http.put(place["upload_url"], content=b"same")).status_code == 200
    response = await served.http.put(place["upload_url"], content=b"other")
    assert refusal(response) == (
        400,
        "bad_request",
        "This address holds another file already. Initiate an upload for each file.",
    )
    assert await content(served, place["file_url"]) == b"same"


@pytest.mark.parametrize(
    ("data", "kind", "mime_type", "extension"),
    [
        (SAFETENSORS, MediaKind.FILE, "application/octet-stream", "safetensors"),
        (b"\x1f\x8b\x08\x00\xff", MediaKind.FILE, "application/gzip", "gz"),
        (b"7z\xbc\xaf'\x1c\x00", MediaKind.FILE, "application/x-7z-compressed", "7z"),
        (b"\0" * 257 + b"ustar\0" + b"\0" * 249, MediaKind.FILE, "application/x-tar", "tar"),
        (b"PK\x03\x04 cut off", MediaKind.FILE, "application/octet-stream", "bin"),
        (b"\x89PNG\r\n\x1a\n cut off", MediaKind.FILE, "application/octet-stream", "bin"),
        (b"\x00\x01", MediaKind.FILE, "application/octet-stream", "bin"),
        (b"words", MediaKind.TEXT, "text/plain", "txt"),
    ],
)
async def test_files_of_any_kind_are_kept(
    served: Served, data: bytes, kind: MediaKind, mime_type: str, extension: str
) -> None:
    response = await served.http.post("/files/upload", content=data)
    url = response.json()["access_url"]
    assert url.endswith(f".{extension}")
    asset = await served.app.media.get(await uri_of(served, url))
    assert (asset.kind, asset.mime_type) == (kind, mime_type)
    assert await content(served, url) == data


async def test_nothing_at_all_is_refused(served: Served) -> None:
    response = await served.http.post("/files/upload", content=b"")
    assert refusal(response) == (
        400,
        "bad_request",
        "The file is empty: 0 bytes. Send the bytes of the file.",
    )
    assert left_over(served) == []


# Too big


def too_big(response: httpx2.Response) -> bool:
    words = "The file is larger than 4,194,304 bytes. Upload a smaller one, or raise the server's"
    status, kind, detail = refusal(response)
    return (status, kind) == (413, "file_too_large") and detail.startswith(words)


async def test_a_file_that_says_it_is_too_big_is_refused_unread(served: Served) -> None:
    place = await announced(served)
    part = f"{await opened_parts(served)}/1"
    for method, url in (
        ("POST", f"{served.url}/files/upload"),
        ("PUT", place["upload_url"]),
        ("PUT", part),
    ):
        assert too_big(await head_only(method, url, LIMIT + 1))
    assert left_over(served) == []


async def head_only(method: str, url: str, length: int) -> httpx2.Response:
    """Promise a body of some length, send nothing of it, and read the answer."""
    parts = httpx2.URL(url)
    reader, writer = await asyncio.open_connection("127.0.0.1", parts.port)
    head = f"{method} {parts.raw_path.decode()} HTTP/1.1\r\nHost: localhost\r\n"
    writer.write(f"{head}Content-Length: {length}\r\n\r\n".encode())
    with anyio.fail_after(10):
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:] if line)
        body = await reader.readexactly(int(headers["content-length"]))
    writer.close()
    return httpx2.Response(int(lines[0].split()[1]), headers=headers, content=body)


async def pieces(count: int) -> AsyncIterator[bytes]:
    """A body that does not say how long it is: so many megabytes."""
    for _ in range(count):
        yield os.urandom(MIB)


async def test_a_file_that_turns_out_too_big_is_refused(served: Served) -> None:
    assert too_big(await served.http.post("/files/upload", content=pieces(5)))
    assert (await served.http.post("/files/upload", content=pieces(4))).status_code == 200
    assert left_over(served) == []


async def test_all_parts_together_keep_the_limit(served: Served) -> None:
    base = await opened_parts(served)
    for number in (1, 2):
        response = await served.http.put(f"{base}/{number}", content=os.urandom(2 * MIB))
        assert response.status_code == 200
    assert too_big(await served.http.put(f"{base}/3", content=b"more"))
    again = await served.http.put(f"{base}/2", content=os.urandom(2 * MIB))
    assert again.status_code == 200  # it takes the place of the earlier one
    assert too_big(await served.http.put(f"{base}/2", content=pieces(3)))


# Parts


async def put_parts(served: Served, base: str, *parts: bytes) -> list[dict[str, Any]]:
    """Put parts; returns them as Python's client lists them: as they end, not in order."""
    listed = []
    for number, data in reversed(list(enumerate(parts, 1))):
        response = await served.http.put(f"{base}/{number}", content=data)
        assert response.status_code == 200, response.text
        listed.append({"partNumber": number, "etag": response.headers["etag"]})
    return listed


async def test_python_uploads_in_parts(locked: Served) -> None:
    base = await opened_parts(locked, **await token(locked, **KEY))
    listed = await put_parts(locked, base, b"a" * MIB, b"b" * MIB, b"c")
    assert len(left_over(locked)) == 1
    answer = await locked.http.post(f"{base}/complete", json={"parts": listed})
    url = base.partition("/multipart/")[0]
    assert (answer.status_code, answer.json()["access_url"]) == (200, url)
    assert url.partition("?")[0].endswith(".mp4")
    assert await content(locked, url) == b"a" * MIB + b"b" * MIB + b"c"
    assert await locked.app.queue.owns(ME, await uri_of(locked, url))
    assert left_over(locked) == []


async def test_javascript_uploads_in_parts(locked: Served) -> None:
    place = await announced(locked, "initiate-multipart", **KEY)
    listed = []
    for number, data in enumerate((b"a" * MIB, b"b"), 1):
        response = await locked.http.put(f"{place['upload_url']}/{number}?x=1", content=data)
        listed.append(response.json())
    assert [part["partNumber"] for part in listed] == [1, 2]
    assert all(part["etag"].startswith('"') for part in listed)
    complete = f"{place['upload_url']}/complete?x=1"
    assert (await locked.http.post(complete, json={"parts": listed})).status_code == 200
    assert await content(locked, place["file_url"]) == b"a" * MIB + b"b"


async def test_completing_twice_is_answered_twice(served: Served) -> None:
    base = await opened_parts(served)
    listed = await put_parts(served, base, b"a", b"b")
    for _ in range(2):
        response = await served.http.post(f"{base}/complete", json={"parts": listed})
        assert response.status_code == 200
    response = await served.http.put(f"{base}/3", content=b"late")
    assert refusal(response)[2] == "The upload is complete already. Initiate another one."


async def test_completing_at_the_same_time_is_answered_to_all(served: Served) -> None:
    base = await opened_parts(served)
    listed = await put_parts(served, base, b"a" * MIB, b"b" * MIB)
    answers: list[int] = []

    async def complete() -> None:
        response = await served.http.post(f"{base}/complete", json={"parts": listed})
        answers.append(response.status_code)

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(complete)
    assert answers == [200] * 8


async def test_a_part_that_comes_again_replaces_the_first(served: Served) -> None:
    base = await opened_parts(served)
    await put_parts(served, base, b"wrong", b"b")
    listed = await put_parts(served, base, b"a", b"b")
    await served.http.post(f"{base}/complete", json={"parts": listed})
    assert await content(served, base.partition("/multipart/")[0]) == b"ab"


async def test_parts_outlast_a_restart(tmp_path: Path) -> None:
    async with serving(tmp_path / "data") as served:
        base = await opened_parts(served)
        listed = await put_parts(served, base, b"a", b"b")
    async with serving(tmp_path / "data") as served:
        base = served.url + httpx2.URL(base).raw_path.decode()
        response = await served.http.post(f"{base}/complete", json={"parts": listed})
        assert response.status_code == 200


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda parts: parts[1:], "Part 2 is not listed. List every part, and its etag."),
        (
            lambda parts: [*parts, {"partNumber": 3, "etag": "x"}],
            "Part 3 was not uploaded. Upload it, then complete again.",
        ),
        (lambda parts: [*parts, parts[0]], "Part 2 is listed twice. List each part once."),
        (lambda parts: [parts[0] | {"etag": "x"}, parts[1]], "The etag of part 2 is "),
        (lambda parts: [*parts, "x"], "`parts` holds x."),
        (lambda parts: [*parts, {"partNumber": True, "etag": "x"}], "`parts` holds {"),
        (lambda parts: [*parts, {"partNumber": 0, "etag": "x"}], "`parts` holds {"),
        (lambda parts: [*parts, {"partNumber": 3, "etag": 7}], "`parts` holds {"),
        (lambda parts: [*parts, {"partNumber": 10_001, "etag": "x"}], "`parts` holds {"),
        (lambda parts: [], "`parts` is missing."),
        (lambda parts: {}, "`parts` is missing."),
    ],
)
async def test_a_list_of_parts_that_does_not_fit_is_refused(
    served: Served, change: Any, words: str
) -> None:
    base = await opened_parts(served)
    listed = await put_parts(served, base, b"a", b"b")
    response = await served.http.post(f"{base}/complete", json={"parts": change(listed)})
    status, kind, detail = refusal(response)
    assert (status, kind) == (400, "bad_request")
    assert detail.startswith(words)
    response = await served.http.post(f"{base}/complete", json={"parts": listed})
    assert response.status_code == 200


@pytest.mark.parametrize("body", [b"[]", b"{", b'"x"', b""])
async def test_a_completion_that_is_no_list_is_refused(served: Served, body: bytes) -> None:
    base = await opened_parts(served)
    await put_parts(served, base, b"a")
    response = await served.http.post(f"{base}/complete", content=body)
    assert refusal(response)[:2] == (400, "bad_request")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        ("0", "There is no part 0. Number parts from 1 to 10000."),
        ("10001", "There is no part 10001."),
        ("99999999999999999999", "'99999999999999999999' is no number of a part."),
        ("x", "'x' is no number of a part."),
        ("-1", "'-1' is no number of a part."),
        ("²", "'²' is no number of a part."),
    ],
)
async def test_a_part_has_a_number(served: Served, number: str, words: str) -> None:
    response = await served.http.put(f"{await opened_parts(served)}/{number}", content=b"x")
    assert refusal(response)[2].startswith(words)


async def test_an_empty_part_is_refused(served: Served) -> None:
    response = await served.http.put(f"{await opened_parts(served)}/1", content=b"")
    assert refusal(response)[2] == "Part 1 is empty. Send the bytes of the part."


async def test_a_part_that_was_damaged_on_the_disk_is_told(served: Served) -> None:
    base = await opened_parts(served)
    listed = await put_parts(served, base, b"a", b"b")
    (folder,) = left_over(served)
    next(folder.glob("00002.*")).write_bytes(b"c")
    response = await served.http.post(f"{base}/complete", json={"parts": listed})
    assert refusal(response)[2] == "Part 2 was damaged here. Upload the file again."


# Broken off, or never completed


async def broken_off(url: str, data: bytes) -> None:
    """Send less than was promised, and hang up."""
    parts = httpx2.URL(url)
    _, writer = await asyncio.open_connection("127.0.0.1", parts.port)
    head = f"PUT {parts.raw_path.decode()} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000000"
    writer.write(f"{head}\r\n\r\n".encode() + data)
    await writer.drain()
    writer.close()
    await writer.wait_closed()


async def test_an_upload_that_is_broken_off_leaves_nothing(served: Served) -> None:
    place, base = await announced(served), await opened_parts(served)
    await broken_off(place["upload_url"], b"x" * MIB)
    await broken_off(f"{base}/1", b"x" * MIB)
    listed = await put_parts(served, base, b"a")  # the broken part does not stand in the way
    response = await served.http.post(f"{base}/complete", json={"parts": listed})
    assert response.status_code == 200
    assert (await served.http.put(place["upload_url"], content=b"all")).status_code == 200
    assert await content(served, place["file_url"]) == b"all"


async def test_an_upload_that_stands_still_is_ended(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "IDLE_SECONDS", 0.05)
    place = await announced(served)
    response = await head_only("PUT", place["upload_url"], 10)
    assert refusal(response)[2] == "Nothing came for 0.05 s. Upload the file again."
    assert left_over(served) == []


async def test_parts_that_nobody_completes_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, young = tmp_path / "data" / "uploads" / "old", tmp_path / "data" / "uploads" / "young"
    for folder in (old, young):
        folder.mkdir(parents=True)
        (folder / "00001.x").write_bytes(b"x")
    os.utime(old, (1, 1))
    swept = anyio.Event()
    monkeypatch.setattr(uploads, "_sweep", noting(uploads._sweep, swept))
    async with serving(tmp_path / "data"):
        await heard(swept)
        assert [path.name for path in (tmp_path / "data" / "uploads").iterdir()] == ["young"]


async def test_a_folder_of_parts_that_cannot_be_read_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    swept = anyio.Event()

    def sweep(folder: Path, before: float) -> None:
        anyio.from_thread.run_sync(swept.set)
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(uploads, "_sweep", sweep)
    async with serving(tmp_path / "data") as served:
        await heard(swept)
        assert (await served.http.post("/files/upload", content=b"x")).status_code == 200
    assert "Parts of uploads could not be removed: Permission denied" in caplog.text


async def test_parts_are_removed_when_their_time_comes(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = anyio.Event()
    monkeypatch.setattr(uploads, "_forget", noting(uploads._forget, gone))
    monkeypatch.setattr(uploads, "KEPT_SECONDS", 0.2)
    base = await opened_parts(served)
    await put_parts(served, base, b"a")
    await heard(gone)
    assert left_over(served) == []


def noting(call: Any, event: anyio.Event) -> Any:
    """Return `call`, which sets the event of this loop when it was made in a thread."""

    def noted(*args: Any) -> Any:
        made = call(*args)
        anyio.from_thread.run_sync(event.set)
        return made

    return noted


async def heard(event: anyio.Event) -> None:
    with anyio.fail_after(10):
        await event.wait()


# Who may, and until when


async def test_uploads_need_a_token_and_announcements_the_key(locked: Served) -> None:
    for path in ("auth/token", "upload/initiate", "upload/initiate-multipart"):
        response = await locked.http.post(f"/rest/storage/{path}", json={})
        assert response.status_code == 401
    for path in ("/files/upload", "/files/upload/multipart"):
        for shown in ({}, {"Authorization": "Bearer x.y"}, {"Authorization": "Key wrong"}):
            response = await locked.http.post(path, content=b"x", headers=shown)
            assert refusal(response) == (
                401,
                "unauthorized",
                "The token for uploads is missing or its time is over. "
                "Get one from POST /storage/auth/token.",
            )
        assert (await locked.http.post(path, content=b"x", headers=KEY)).status_code == 200


async def test_an_address_that_was_changed_or_made_up_takes_nothing(locked: Served) -> None:
    place = await announced(locked, **KEY)
    base = await opened_parts(locked, **await token(locked, **KEY))
    spoilt = place["upload_url"][:-1] + ("A" if place["upload_url"][-1] != "A" else "B")
    for method, url in (
        ("PUT", spoilt),
        ("PUT", f"{locked.url}/files/put/x"),
        ("PUT", f"{base}x/1"),
        ("POST", f"{base}x/complete"),
        ("PUT", f"{locked.url}/files/parts/x.y/1"),
    ):
        response = await locked.http.request(method, url, content=b"x", headers=KEY)
        assert refusal(response)[:2] == (401, "unauthorized")
        assert "not one of this server's, or its time is over" in response.json()["detail"]
    assert left_over(locked) == []


async def test_addresses_and_tokens_expire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("media_mcp.server.queue_api.storage.TICKET_SECONDS", -1.0)
    monkeypatch.setattr("media_mcp.server.queue_api.storage.TOKEN_SECONDS", -1.0)
    async with serving(tmp_path / "data", api_key="k") as locked:
        place = await announced(locked, **KEY)
        response = await locked.http.put(place["upload_url"], content=b"x")
        assert response.status_code == 401
        headers = await token(locked, **KEY)
        response = await locked.http.post("/files/upload", content=b"x", headers=headers)
        assert response.status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/rest/storage/auth/token", 405),
        ("PUT", "/rest/storage/upload/initiate", 405),
        ("POST", "/rest/storage/nothing", 404),
        ("DELETE", "/files/upload", 405),
        ("POST", "/files/put/x", 405),
        ("PUT", "/files/upload", 405),
        ("POST", "/files/parts/x/1", 405),
        ("PUT", "/files/a/b/c/d/e", 405),
        ("PUT", "/files/x/y/z", 405),
    ],
)
async def test_other_calls_are_refused(served: Served, method: str, path: str, status: int) -> None:
    response = await served.http.request(method, path, content=b"{}")
    assert (response.status_code, response.json()["detail"]) != (200, "")
    assert response.status_code == status


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"[]", "The body is not an object."),
        (b"{", "The body is not JSON."),
        (b'{"a": "' + b"x" * 70_000 + b'"}', "The body is larger than 65536 bytes."),
    ],
)
async def test_an_announcement_that_cannot_be_read_is_refused(
    served: Served, body: bytes, words: str
) -> None:
    response = await served.http.post("/rest/storage/upload/initiate", content=body)
    status, _, detail = refusal(response)
    assert (status, detail[: len(words)]) == (413 if "larger" in words else 400, words)


# Lifetimes


def lifecycle(**asked: Any) -> dict[str, str]:
    return {"X-Fal-Object-Lifecycle": json.dumps(asked)}


async def expiry(served: Served) -> float | None:
    """Return in how many seconds the next thing is due."""
    at = await served.app.queue._store.next_due()
    return None if at is None else round(at - time.time())


async def test_uploads_are_kept_as_long_as_they_say(served: Served) -> None:
    hour = lifecycle(expiration_duration_seconds=3600)
    await served.http.post("/files/upload", content=b"1", headers=hour)
    assert await expiry(served) == 3600
    place = await announced(served, **lifecycle(expiration_duration_seconds=1800))
    assert await expiry(served) == 3600  # it begins with the bytes
    await served.http.put(place["upload_url"], content=b"2")
    assert await expiry(served) == 1800
    preference = {"X-Fal-Object-Lifecycle-Preference": '{"expiration_duration_seconds": 900.5}'}
    base = await opened_parts(served, **preference)
    listed = await put_parts(served, base, b"3")
    await served.http.post(f"{base}/complete", json={"parts": listed})
    assert await expiry(served) in (900, 901)


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"expiration_duration_seconds": None},
        {"expiration_duration_seconds": 1e12},
        {"initial_acl": {"default": "allow"}},
        {"initial_acl": {}},
    ],
)
async def test_other_uploads_are_kept_for_good(served: Served, asked: dict[str, Any]) -> None:
    headers = lifecycle(**asked)
    response = await served.http.post("/files/upload", content=b"x", headers=headers)
    assert (response.status_code, await expiry(served)) == (200, None)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ("{", "The header X-Fal-Object-Lifecycle is not JSON."),
        ("[" * 20_000, "The header X-Fal-Object-Lifecycle is not JSON."),
        ("3600", "The header X-Fal-Object-Lifecycle is not an object."),
        ('{"expiration_duration_seconds": "1h"}', "The header X-Fal-Object-Lifecycle has '1h'"),
        ('{"expiration_duration_seconds": true}', "The header X-Fal-Object-Lifecycle has True"),
        ('{"expiration_duration_seconds": NaN}', "The header X-Fal-Object-Lifecycle has nan"),
        ('{"expiration_duration_seconds": 0}', "The header X-Fal-Object-Lifecycle has 0 "),
        ('{"initial_acl": {"default": "hide"}}', "initial_acl asks for access rules"),
        ('{"initial_acl": {"rules": [{"user": "x"}]}}', "initial_acl asks for access rules"),
        ('{"initial_acl": "x"}', "initial_acl asks for access rules"),
    ],
)
async def test_a_lifetime_that_cannot_be_kept_is_refused(
    served: Served, told: str, words: str
) -> None:
    headers = {"X-Fal-Object-Lifecycle": told}
    for path in ("/files/upload", "/rest/storage/upload/initiate"):
        response = await served.http.post(path, content=b"{}", headers=headers)
        assert response.status_code == 400
        assert refusal(response)[2].startswith(words)
