"""What crashes leave in the media folder is found, and nothing else is."""

import os
import time
from pathlib import Path

import pytest
from PIL import Image

from media_mcp.media import MediaStore
from media_mcp.media.leftovers import (
    PREVIEW_SECONDS,
    folders,
    measure,
    nameless,
    orphan,
    passing,
    records,
)
from media_mcp.media.shelf import STALE

pytestmark = pytest.mark.anyio

NOW = time.time()


@pytest.fixture
def store(tmp_path: Path) -> MediaStore:
    return MediaStore(tmp_path / "assets")


def aged(path: Path, seconds: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.write_bytes(b"12345")
    os.utime(path, (NOW - seconds,) * 2)
    return path


async def test_staged_files_and_previews_go_when_they_are_old(
    store: MediaStore, tmp_path: Path
) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "x.png")
    asset = await store.put(tmp_path / "x.png", role="images", name="x", provenance={})
    assert await store.preview([asset])
    (drawn,) = (store.folder / "previews").iterdir()
    staged = aged(store.folder / "staging" / "a", STALE + 60)
    aged(store.folder / "staging" / "b", STALE - 60)
    assert [left.path for left in passing(store.folder, NOW)] == [staged]
    aged(drawn, PREVIEW_SECONDS + 60)
    found = list(passing(store.folder, NOW))
    assert [(left.what, left.size > 0) for left in found] == [
        ("a staged file", True),
        ("an old preview", True),
    ]
    for left in found:
        left.remove()
        left.remove()  # somebody was faster
    assert list(passing(store.folder, NOW)) == []
    assert asset.path.exists()


async def test_a_file_that_no_sidecar_names_is_found(store: MediaStore) -> None:
    asset = await store.put_bytes(b"words", role="text", name="x", provenance={})
    stray = aged(asset.path.with_name("a-red-boat-0123abcd.txt"), 100)
    twin = aged(asset.path.with_name(f"other-{asset.sha256[:8]}.txt"), 100)
    own = aged(asset.path.with_name("notes of my own.txt"), 100)
    aged(asset.path, 100)
    found = [left.path for left in nameless(store.folder, 0, NOW)]
    assert found == sorted([stray, twin])
    assert own.exists()
    assert list(nameless(store.folder, 0, NOW - 200)) == []  # too young
    assert list(nameless(store.folder, NOW - 50, NOW)) == []  # older than what is known of


async def test_what_goes_with_a_sidecar_is_its_own_file_only(
    store: MediaStore, tmp_path: Path
) -> None:
    asset = await store.put_bytes(b"words", role="text", name="x", provenance={})
    ((record,),) = records(store.folder)
    left = orphan(store.folder, record)
    assert (left.path, left.also) == (record.path, (asset.path,))
    precious = tmp_path / "precious-0123abcd.txt"
    precious.write_text("mine")
    for name in (str(precious), "../precious-0123abcd.txt", "../../etc/passwd", "index/x", 7, None):
        record.path.write_text(f'{{"file": {name!r}}}'.replace("'", '"').replace("None", "null"))
        assert orphan(store.folder, record).also == ()
    record.path.write_text("[" * 100_000)
    assert orphan(store.folder, record).also == ()


async def test_files_are_measured_and_folders_listed(store: MediaStore) -> None:
    assert folders(store) == [store.folder]
    mine = await store.put_bytes(b"words", role="text", name="x", provenance={})
    anns = await store.of("ann").put_bytes(b"other", role="text", name="x", provenance={})
    assert folders(store) == [store.folder, store.of("ann").folder]
    anns.path.unlink()
    names = [("local", mine.uri), ("bob", mine.uri), ("ann", anns.uri), ("ann", "media://x")]
    assert measure(store, names) == [5, 5, None, None]
