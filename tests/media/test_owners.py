"""Each owner's media are a folder of their own, and those from before are still to be had."""

import json
import shutil
from pathlib import Path

import pytest

from media_mcp.errors import NotFound
from media_mcp.job import Asset
from media_mcp.media import MediaStore
from media_mcp.media import store as room
from media_mcp.media.names import folder_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def store(tmp_path: Path) -> MediaStore:
    return MediaStore(tmp_path / "assets")


async def words(store: MediaStore, name: str, job: str = "j") -> Asset:
    return await store.put_bytes(b"words", role="text", name=name, provenance={"job": job})


async def test_the_same_bytes_of_two_callers_have_each_their_own_name_and_record(
    store: MediaStore,
) -> None:
    first = await words(store.of("ann"), "ann asks for a merger", "of-ann")
    second = await words(store.of("bob"), "bob asks for a poem", "of-bob")
    own = await words(store, "mine", "of-mine")
    assert first.uri == second.uri == own.uri
    assert {a.path.parent.parent for a in (first, second)} == {
        store.folder / "callers" / folder_of(name) for name in ("ann", "bob")
    }
    assert own.path.parent.parent == store.folder
    assert "merger" not in str(second.path) and "poem" not in str(first.path)
    side = await store.of("bob").sidecar(second.uri)
    assert (side["jobs"], "again" in side) == (["of-bob"], False)  # nor was it there already


async def test_one_owners_copy_goes_and_the_others_stay(store: MediaStore) -> None:
    first, second = await words(store.of("ann"), "x"), await words(store.of("bob"), "x")
    assert await store.of("ann").remove(first.uri, 0)
    with pytest.raises(NotFound):
        await store.of("ann").get(first.uri)
    assert await store.of("bob").read(second.uri) == b"words"


async def test_what_was_everybodys_is_read_by_all_and_leant_on_by_those_without_a_copy(
    store: MediaStore,
) -> None:
    before = await words(store, "from before")
    ann = store.of("ann")
    assert await ann.get(before.uri) == before
    assert await ann.read(before.uri, 1, 2) == b"or"
    assert await store.leans_on(before.uri, ["ann", "bob"])
    await words(ann, "again")
    await words(store.of("bob"), "again")
    assert not await store.leans_on(before.uri, ["ann", "bob"])
    assert await store.leans_on(before.uri, ["ann", "local"])
    assert not await store.leans_on(before.uri, [])


async def test_an_owners_files_are_no_files_of_this_machines_user(store: MediaStore) -> None:
    asset = await words(store.of("ann"), "x")
    assert store.of("ann").is_own_file(asset.path)
    assert not store.is_own_file(asset.path)
    assert not store.of("bob").is_own_file(asset.path)


@pytest.mark.parametrize(
    "name", ["../../etc", "a/b", "", ".", "CON", "ü" * 300, "x\0y", "lone \ud800", "A", "a"]
)
async def test_any_name_of_an_owner_has_a_folder_below_the_store(
    store: MediaStore, name: str
) -> None:
    folder = store.of(name).folder
    assert folder.parent == store.folder / "callers"
    assert folder.resolve().is_relative_to(store.folder.resolve())
    assert len(folder.name) < 60


def test_names_that_look_alike_have_different_folders() -> None:
    names = ["a", "A", "a ", "á", "a-b", "a_b", ""]
    assert len({folder_of(name) for name in names}) == len(names)


def test_so_many_owners_take_no_more_memory(
    store: MediaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MOST_OPEN", 10)
    assert store.of("ann") is store.of("ann")
    for number in range(50):
        store.of(f"caller {number}")
    assert len(store._of) <= 10


async def test_a_data_folder_that_moved_reads_its_media(store: MediaStore, tmp_path: Path) -> None:
    mine, anns = await words(store, "x"), await words(store.of("ann"), "y")
    shutil.move(store.folder, tmp_path / "elsewhere")
    moved = MediaStore(tmp_path / "elsewhere")
    for owner, asset in (("local", mine), ("ann", anns)):
        found = await moved.of(owner).get(asset.uri)
        assert found.path.read_bytes() == b"words"
        assert found.path.is_relative_to(tmp_path / "elsewhere")


async def test_a_sidecar_of_an_earlier_version_is_read(store: MediaStore) -> None:
    asset = await words(store, "x")
    (index,) = (store.folder / "index").rglob("*.json")
    side = json.loads(index.read_text())
    side.pop("again", None)
    index.write_text(json.dumps(side | {"unknown": 1}))
    assert await store.of("ann").get(asset.uri) == asset
