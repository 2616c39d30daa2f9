"""Assets can be forgotten, and files of no known kind can be kept."""

from pathlib import Path

import pytest
from anyio import to_thread
from PIL import Image

from media_mcp.errors import BadMedia, NotFound
from media_mcp.job import MediaKind
from media_mcp.media import MediaStore

pytestmark = pytest.mark.anyio


@pytest.fixture
def store(tmp_path: Path) -> MediaStore:
    return MediaStore(tmp_path / "assets")


def files(store: MediaStore) -> list[str]:
    """Return the files that are kept, without the lock."""
    return sorted(path.name for path in store.folder.rglob("*") if path.is_file())[1:]


async def test_an_asset_is_forgotten_with_all_that_was_made_of_it(
    store: MediaStore, tmp_path: Path
) -> None:
    Image.new("RGB", (40, 20), "red").save(tmp_path / "x.png")
    asset = await store.put(tmp_path / "x.png", role="images", name="x", provenance={"job": "j"})
    other = await store.put_bytes(b"words", role="text", name="y", provenance={})
    assert await store.preview([asset])
    assert len(files(store)) == 5
    assert await store.remove(asset.uri, 600)
    assert files(store) == sorted([other.path.name, f"{other.sha256}.json"])
    with pytest.raises(NotFound):
        await store.get(asset.uri)
    assert await store.remove(asset.uri, 600)  # there is nothing left to do
    again = await store.put(tmp_path / "x.png", role="images", name="x", provenance={})
    assert again.path.exists()


async def test_bytes_that_came_again_lately_are_kept(store: MediaStore) -> None:
    asset = await store.put_bytes(b"words", role="text", name="y", provenance={})
    await store.put_bytes(b"words", role="input", name="z", provenance={})
    assert not await store.remove(asset.uri, 600)
    assert asset.path.read_bytes() == b"words"
    assert await store.remove(asset.uri, 0)


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n cut", b"PK\x03\x04 cut", b"glTF\x01"])
async def test_broken_media_can_be_kept_as_a_file(store: MediaStore, data: bytes) -> None:
    with await store.intake(100) as intake:
        intake.write(data)
        staged = await to_thread.run_sync(intake.finish)
    facts = await store.examine(staged, any_kind=True)
    assert (facts.kind, facts.extension) == (MediaKind.FILE, "bin")
    with pytest.raises(BadMedia):
        await store.examine(staged)


@pytest.mark.parametrize(
    ("data", "mime_type", "extension"),
    [
        (b"BZh9\x01\xff", "application/x-bzip2", "bz2"),
        (b"\xfd7zXZ\x00", "application/x-xz", "xz"),
        (b"(\xb5/\xfd\x00", "application/zstd", "zst"),
        (b"Rar!\x1a\x07\x00", "application/vnd.rar", "rar"),
        (b"%PDF-1.7\n\x00", "application/pdf", "pdf"),
        (b"GGUF\x03\x00", "application/octet-stream", "gguf"),
        ((9).to_bytes(8, "little") + b'{"a":{}}\x00', "application/octet-stream", "safetensors"),
        ((2**40).to_bytes(8, "little") + b'{"a":{}}\x00', "application/octet-stream", "bin"),
    ],
)
async def test_files_that_travel_with_media_are_known(
    store: MediaStore, data: bytes, mime_type: str, extension: str
) -> None:
    asset = await store.put_bytes(data, role="input", name="x", provenance={})
    assert (asset.kind, asset.mime_type) == (MediaKind.FILE, mime_type)
    assert asset.uri.endswith(f".{extension}")
    assert await store.get(asset.uri) == asset
