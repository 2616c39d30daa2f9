import errno
import json
import os
import resource
import stat
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from media_mcp.errors import BadMedia, InvalidArguments, NotFound, StorageFailed
from media_mcp.job import Asset, MediaKind
from media_mcp.media import MediaStore, shelf
from media_mcp.media import store as room

Make = Callable[..., Path]
pytestmark = pytest.mark.anyio


async def keep(store: MediaStore, path: Path, name: str = "A red boat", **more: str) -> Asset:
    return await store.put(path, role="images", name=name, provenance=more)


def files_of(store: MediaStore) -> list[Path]:
    months = store.folder.glob("[0-9]*-*/*")
    return sorted(path.relative_to(store.folder) for path in months)


def everything_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]


async def test_an_asset_is_a_readable_file_named_by_its_content(
    store: MediaStore, picture: Make
) -> None:
    path = picture("lying.mp3.png")
    asset = await keep(store, path, "A red boat!")
    assert asset.uri == f"media://{asset.sha256}.png"
    assert asset.path.parent.parent == store.folder
    assert asset.path.name == f"a-red-boat-{asset.sha256[:8]}.png"
    assert time.strftime("%Y-%m", time.gmtime()) == asset.path.parent.name
    assert asset.path.read_bytes() == path.read_bytes()
    assert (asset.kind, asset.mime_type, asset.role) == (MediaKind.IMAGE, "image/png", "images")
    assert (asset.size, asset.width, asset.height) == (path.stat().st_size, 64, 48)
    assert await store.get(asset.uri) == asset


async def test_the_sidecar_is_found_by_the_hash_and_tells_where_an_asset_comes_from(
    store: MediaStore, picture: Make
) -> None:
    given = {"model": "sketch", "arguments": {"prompt": "ein rotes Böötchen"}, "job": "j1"}
    asset = await store.put(picture(), role="images", name="x", provenance=given)
    lies = store.folder / "index" / asset.sha256[:2] / f"{asset.sha256}.json"
    side = await store.sidecar(asset.uri)
    assert side == json.loads(lies.read_text())
    assert side["provenance"].pop("created").startswith("20")
    assert side["provenance"] == given
    assert (side["role"], side["kind"], side["mime_type"]) == ("images", "image", "image/png")
    assert (side["size"], side["width"], side["height"]) == (asset.size, 64, 48)
    assert side["jobs"] == ["j1"]
    assert store.folder / side["file"] == asset.path


async def test_bytes_are_never_believed_to_be_what_their_mime_type_says(
    store: MediaStore, picture: Make
) -> None:
    asset = await store.put_bytes(
        picture().read_bytes(), role="x", name="x", provenance={}, mime_type="text/html"
    )
    assert asset.mime_type == "image/png"
    page = await store.put_bytes(
        b"<html></html>", role="x", name="x", provenance={}, mime_type="text/html"
    )
    assert (page.mime_type, page.path.suffix) == ("text/plain", ".txt")


@pytest.mark.parametrize(("mime_type", "suffix"), [("text/markdown", ".md"), ("text/csv", ".csv")])
async def test_a_mime_type_tells_apart_what_bytes_cannot(
    store: MediaStore, mime_type: str, suffix: str
) -> None:
    asset = await store.put_bytes(
        b"a,b\n1,2\n", role="text", name="x", provenance={}, mime_type=mime_type
    )
    assert (asset.kind, asset.mime_type, asset.path.suffix) == (MediaKind.TEXT, mime_type, suffix)


async def test_an_empty_text_is_stored_but_an_empty_image_is_refused(store: MediaStore) -> None:
    asset = await store.put_bytes(b"", role="text", name="x", provenance={}, mime_type="text/plain")
    assert (asset.kind, asset.size) == (MediaKind.TEXT, 0)
    assert await store.read(asset.uri) == b""
    with pytest.raises(BadMedia, match="empty"):
        await store.put_bytes(b"", role="x", name="x", provenance={}, mime_type="image/png")


async def test_the_same_bytes_are_stored_once_and_keep_their_first_provenance(
    store: MediaStore, picture: Make
) -> None:
    first = await keep(store, picture(), "first", job="j1", model="a")
    again = await store.put(
        picture(), role="input", name="second", provenance={"job": "j2", "model": "b"}
    )
    await keep(store, picture(), "third", job="j2")
    await keep(store, picture(), "fourth")
    assert again == replace(first, role="input")
    assert await store.get(first.uri) == first
    assert len(files_of(store)) == 1
    side = await store.sidecar(first.uri)
    assert side["provenance"]["model"] == "a"
    assert side["jobs"] == ["j1", "j2"]


async def test_two_stores_on_one_folder_keep_one_copy_and_every_job(
    tmp_path: Path, picture: Make
) -> None:
    path = picture()
    stores = [MediaStore(tmp_path / "store") for _ in range(8)]
    async with anyio.create_task_group() as group:
        for i, store in enumerate(stores):
            group.start_soon(
                lambda s=store, n=i: s.put(
                    path, role="x", name=f"n{n % 3}", provenance={"job": f"j{n}"}
                )
            )
    assert len(files_of(stores[0])) == 1
    (side,) = (tmp_path / "store" / "index").rglob("*.json")
    assert sorted(json.loads(side.read_text())["jobs"]) == [f"j{i}" for i in range(8)]
    assert list((tmp_path / "store" / "staging").iterdir()) == []


async def test_a_file_whose_name_is_taken_gets_a_longer_one(
    store: MediaStore, picture: Make
) -> None:
    asset = await keep(store, picture())
    (store.folder / "index" / asset.sha256[:2] / f"{asset.sha256}.json").unlink()
    asset.path.write_bytes(b"something else")
    other = await keep(store, picture())
    assert other.path.name == f"a-red-boat-{asset.sha256[:16]}.png"
    assert asset.path.read_bytes() == b"something else"


async def test_a_file_with_every_name_taken_is_refused(store: MediaStore, picture: Make) -> None:
    for _ in range(3):
        asset = await keep(store, picture())
        (store.folder / "index" / asset.sha256[:2] / f"{asset.sha256}.json").unlink()
        asset.path.write_bytes(b"something else")
    with pytest.raises(StorageFailed, match="is there already"):
        await keep(store, picture())


async def test_a_file_without_its_sidecar_is_taken_up_again(
    store: MediaStore, picture: Make
) -> None:
    asset = await keep(store, picture())
    (store.folder / "index" / asset.sha256[:2] / f"{asset.sha256}.json").unlink()
    with pytest.raises(NotFound):
        await store.get(asset.uri)
    assert await keep(store, picture()) == asset
    assert len(files_of(store)) == 1


@pytest.mark.parametrize("damage", ["{", "[]", "{}"])
async def test_a_damaged_sidecar_is_written_anew(
    store: MediaStore, picture: Make, damage: str
) -> None:
    asset = await keep(store, picture())
    (side,) = (store.folder / "index").rglob("*.json")
    side.write_text(damage)
    with pytest.raises(NotFound):
        await store.get(asset.uri)
    assert await keep(store, picture()) == asset
    assert await store.get(asset.uri) == asset


async def test_provenance_of_any_kind_is_kept(store: MediaStore) -> None:
    prompt, path = "lone \ud800 surrogate, emoji 🚤", Path("a/b")
    asset = await store.put_bytes(
        b"x", role="x", name="x", provenance={"arguments": {"prompt": prompt}, "path": path}
    )
    provenance = (await store.sidecar(asset.uri))["provenance"]
    assert provenance["arguments"]["prompt"] == prompt
    assert provenance["path"] == "a/b"


async def test_a_deleted_file_is_said_and_comes_back_with_the_same_bytes(
    store: MediaStore, picture: Make
) -> None:
    asset = await keep(store, picture(), job="j1")
    asset.path.unlink()
    with pytest.raises(NotFound, match="is gone") as caught:
        await store.get(asset.uri)
    assert str(asset.path) in caught.value.message
    assert await keep(store, picture(), "other", job="j2") == asset
    assert asset.path.exists()


@pytest.mark.parametrize(
    "uri",
    [
        "media://",
        "media://abc.png",
        "media://../../etc/passwd",
        f"media://{'A' * 64}.png",
        "x" * 999,
        f"media://{'a' * 64}",
        f"media://{'a' * 64}.png/..",
        f"media://{'a' * 64}.png\n",
    ],
)
async def test_a_malformed_uri_is_not_found(store: MediaStore, uri: str) -> None:
    with pytest.raises(NotFound, match="is not the URI of an asset") as caught:
        await store.get(uri)
    assert "media://<64" in caught.value.hint
    assert len(caught.value.message) < 300


async def test_an_unknown_uri_is_not_found(store: MediaStore) -> None:
    uri = f"media://{'0' * 64}.png"
    with pytest.raises(NotFound, match=f"There is no asset {uri}"):
        await store.sidecar(uri)
    assert not store.folder.exists()


async def test_reading_is_bounded(store: MediaStore, monkeypatch: pytest.MonkeyPatch) -> None:
    asset = await store.put_bytes(b"0123456789", role="x", name="x", provenance={})
    assert await store.read(asset.uri) == b"0123456789"
    assert await store.read(asset.uri, 2, 3) == b"234"
    assert await store.read(asset.uri, 8, 100) == b"89"
    assert await store.read(asset.uri, 10) == b""
    assert await store.read(asset.uri, 0, 0) == b""
    monkeypatch.setattr(room, "MAX_READ", 4)
    assert await store.read(asset.uri) == b"0123"
    assert await store.read(asset.uri, 1, 100) == b"1234"
    with pytest.raises(InvalidArguments, match="offset: is -1; the least is 0"):
        await store.read(asset.uri, -1)
    with pytest.raises(InvalidArguments, match="length: is -5; the least is 0"):
        await store.read(asset.uri, 0, -5)


async def test_broken_media_leave_nothing_behind(store: MediaStore, picture: Make) -> None:
    data = picture(size=(200, 200)).read_bytes()
    with pytest.raises(BadMedia, match="cannot be read"):
        await store.put_bytes(data[:200], role="x", name="x", provenance={})
    assert everything_in(store.folder) == []


async def test_an_output_that_is_not_there_or_no_file_is_said(
    store: MediaStore, tmp_path: Path
) -> None:
    with pytest.raises(BadMedia, match=r"gone\.png cannot be read: no such file"):
        await keep(store, tmp_path / "gone.png")
    os.mkfifo(tmp_path / "fifo.png")
    for path in (tmp_path, tmp_path / "fifo.png"):
        with pytest.raises(BadMedia, match=f"{path.name} is not a regular file"):
            await keep(store, path)
    assert everything_in(store.folder) == []


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "is full"),
        (errno.EDQUOT, "is full"),
        (errno.EROFS, "cannot be written to"),
        (errno.EACCES, "cannot be written to"),
        (errno.EIO, "cannot be used: input/output error"),
    ],
)
async def test_a_disk_that_refuses_is_put_into_words(
    store: MediaStore, picture: Make, monkeypatch: pytest.MonkeyPatch, code: int, words: str
) -> None:
    def fail(handle: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(shelf.os, "fsync", fail)
    with pytest.raises(StorageFailed, match=words) as caught:
        await keep(store, picture())
    assert "data_dir" in caught.value.hint
    assert str(store.folder) in caught.value.message
    assert everything_in(store.folder) == []


async def test_a_limit_on_file_sizes_is_put_into_words(store: MediaStore, tmp_path: Path) -> None:
    await store.put_bytes(b"small", role="x", name="x", provenance={})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(StorageFailed, match="larger than") as caught:
            await store.put_bytes(b"x" * 300_000, role="x", name="x", provenance={})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "ulimit -f" in caught.value.hint
    assert len(files_of(store)) == 1
    assert list((store.folder / "staging").iterdir()) == []


async def test_a_folder_that_cannot_be_made_is_put_into_words(
    tmp_path: Path, picture: Make
) -> None:
    (tmp_path / "occupied").write_text("a file")
    with pytest.raises(StorageFailed, match="cannot be used: not a directory"):
        await keep(MediaStore(tmp_path / "occupied" / "store"), picture())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_folder_without_the_right_to_write_is_put_into_words(
    store: MediaStore, picture: Make
) -> None:
    await store.put_bytes(b"x", role="x", name="x", provenance={})
    (store.folder / "staging").chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(StorageFailed, match="cannot be written to"):
        await keep(store, picture())


async def test_what_the_object_store_says_is_put_into_words(
    store: MediaStore, picture: Make
) -> None:
    await store.put_bytes(b"x", role="x", name="x", provenance={})
    month = next(store.folder.glob("[0-9]*-*"))
    for path in month.iterdir():
        path.unlink()
    month.rmdir()
    month.write_text("in the way")
    with pytest.raises(StorageFailed, match="cannot be used") as caught:
        await keep(store, picture())
    assert "Debug" not in caught.value.message
    assert list((store.folder / "staging").iterdir()) == []


async def test_a_bug_within_is_not_taken_for_a_full_disk() -> None:
    with pytest.raises(ZeroDivisionError), shelf.storage_words(Path("x")):
        raise ZeroDivisionError


async def test_what_a_dead_process_left_is_swept_away_after_a_day(
    store: MediaStore, picture: Make
) -> None:
    staging = store.folder / "staging"
    staging.mkdir(parents=True)
    for name, age in (("old", 2 * shelf.STALE), ("young", 0.0)):
        (staging / name).write_bytes(b"x")
        os.utime(staging / name, (time.time() - age,) * 2)
    await keep(store, picture())
    assert [path.name for path in staging.iterdir()] == ["young"]


async def test_a_put_that_is_cancelled_leaves_nothing_behind(
    store: MediaStore, picture: Make
) -> None:
    path = picture()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await keep(store, path)
    assert scope.cancelled_caught
    assert not store.folder.exists()


async def test_an_admission_that_is_cancelled_leaves_nothing_behind(store: MediaStore) -> None:
    with await store.intake(100) as intake:
        intake.write(b"words")
        staged = intake.finish()
    facts = await store.examine(staged)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await store.admit(staged, facts, role="x", name="x", provenance={})
    assert scope.cancelled_caught
    assert everything_in(store.folder) == []


async def test_the_files_of_assets_are_told_from_the_rest_of_the_folder(
    store: MediaStore, picture: Make
) -> None:
    asset = await keep(store, picture())
    side = next((store.folder / "index").rglob("*.json"))
    assert store.is_own_file(asset.path)
    assert not store.is_own_file(side)
    assert not store.is_own_file(store.folder.parent / "x.png")
