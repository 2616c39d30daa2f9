"""Archives to import that lie, hide something or never end: refused in words, nothing imported."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zlib

import pytest

from media_mcp.errors import BadArchive, StorageFailed
from media_mcp.media import MediaStore
from media_mcp.queue import moving
from media_mcp.queue.archive import ArchiveReader, ArchiveWriter
from media_mcp.queue.moving import Importer
from media_mcp.queue.sqlite import SqliteStore
from media_mcp.queue.store import Ending, Instance
from stores import SUCCEEDED, Shelf, sqlite_store

pytestmark = pytest.mark.anyio

DEEP = b"[" * 10_000 + b"]" * 10_000


@pytest.fixture
async def whole(tmp_path, anyio_backend):
    """The members of a sound archive: a job of ann's and what it made."""
    media = MediaStore(tmp_path / "from" / "assets")
    shelf = Shelf(sqlite_store, tmp_path / "from")
    store = await shelf.open()
    made = await media.of("ann").put_bytes(b"words", role="text", name="x", provenance={"a": 1})
    claim = await shelf.claimed(store)
    await store.end(claim, Ending(SUCCEEDED.state, assets=(made,), cost=0.5))
    stream = io.BytesIO()
    moving.export(store, media, stream, moving.Which(), lambda done, total: None)
    await store.aclose()
    stream.seek(0)
    return [(each.name, b"".join(iter(each.read, b""))) for each in ArchiveReader(stream)]


def packed(members):
    stream = io.BytesIO()
    archive = ArchiveWriter(stream)
    for name, data in members:
        archive.file(name, len(data), io.BytesIO(data))
    archive.close()
    return stream.getvalue()


@pytest.fixture
async def target(tmp_path, anyio_backend):
    store = SqliteStore(tmp_path / "to" / "jobs.sqlite", Instance("new", 1, "here", ""))
    await store.open()
    yield store, MediaStore(tmp_path / "to" / "assets")
    await store.aclose()


async def taken(target, data):
    return await Importer(*target, lambda done, total: None).run(io.BytesIO(data))


async def refused(target, data, words, error=BadArchive):
    with pytest.raises(error, match=words):
        await taken(target, data)
    store, _ = target
    assert await store.jobs("ann") == []
    assert await store.holdings.listed(None, pinned=False, limit=9) == []
    assert await store.unbalanced() == []


async def test_a_sound_one_is_taken(whole, target):
    moved = await taken(target, packed(whole))
    assert (moved.jobs, moved.assets) == (1, 1)
    (job,) = await target[0].jobs("ann")
    assert job.assets[0].path.read_bytes() == b"words"
    assert await target[0].unbalanced() == []


async def test_every_cut_is_noticed(whole, target):
    data = packed(whole)
    plain = gzip.decompress(data)
    for cut in (0, 1, 10, len(data) // 2, len(data) - 9, len(data) - 1):
        await refused(target, data[:cut], "cannot be imported")
    for cut in range(0, len(plain) - 1024, 512):
        await refused(target, gzip.compress(plain[:cut]), "ends too early")
        ended = gzip.compress(plain[:cut] + bytes(1024))
        await refused(target, ended, "cannot be imported")


async def test_noise_and_other_files_are_refused(target):
    for data in (b"PK\x03\x04" + bytes(999), b"\x1f\x8b" + b"x" * 999, gzip.compress(b"x" * 2000)):
        await refused(target, data, "cannot be imported")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (tarfile.SYMTYPE, "a symbolic link"),
        (tarfile.LNKTYPE, "a hard link"),
        (tarfile.CHRTYPE, "a device"),
        (tarfile.FIFOTYPE, "a pipe"),
        (tarfile.DIRTYPE, "a folder"),
        (tarfile.GNUTYPE_LONGNAME, "more than plain files"),
        (tarfile.XHDTYPE, "more than plain files"),
        (tarfile.GNUTYPE_SPARSE, "more than plain files"),
    ],
)
async def test_only_plain_files_are_read(whole, target, kind, words):
    member = tarfile.TarInfo("assets/000000001.bin")
    member.type, member.linkname, member.size = kind, "/etc/passwd", 2**40
    head = gzip.decompress(packed(whole[:1]))[:-1024]
    data = gzip.compress(head + member.tobuf(tarfile.GNU_FORMAT) + bytes(2048))
    await refused(target, data, words)


@pytest.mark.parametrize(
    "name",
    ["../../etc/cron.d/x", "/etc/passwd", "assets/../x", "assets/1.bin", "jobs.sqlite", "a\x1b[2J"],
)
async def test_names_lead_nowhere(whole, target, tmp_path, name):
    await refused(target, packed([whole[0], (name, b"x"), *whole[1:]]), "which is no part of one")
    assert not (tmp_path / "etc").exists()


async def test_a_newer_format_asks_for_an_upgrade(whole, target):
    head = json.loads(whole[0][1]) | {"format": 2}
    data = packed([(whole[0][0], json.dumps(head).encode()), *whole[1:]])
    await refused(target, data, "newer media-mcp .format 2; this one reads 1")


@pytest.mark.parametrize(
    "head",
    [
        DEEP,
        b"",
        b"[]",
        b"null",
        b"{}",
        b"\xff",
        b'{"format": true}',
        b'{"format": 1}',
        b'{"format": 1e999}',
        b'{"format":1,"jobs":-1,"assets":0,"bytes":0}',
        b'{"format":1,"jobs":NaN}',
    ],
)
async def test_a_wrong_top_is_refused(whole, target, head):
    await refused(target, packed([(whole[0][0], head), *whole[1:]]), "cannot be imported")


def with_about(whole, **changes):
    about = json.loads(whole[1][1]) | changes
    return packed([whole[0], (whole[1][0], json.dumps(about).encode()), *whole[2:]])


@pytest.mark.parametrize(
    "changes",
    [
        {"size": 6},
        {"size": -1},
        {"uri": f"media://{'0' * 64}.txt"},
        {"uri": "media://../../x"},
        {"uri": 7},
        {"owner": None},
        {"owner": "x" * 5000},
        {"role": ["x"]},
        {"name": {}},
    ],
)
async def test_an_asset_that_lies_is_refused(whole, target, changes):
    await refused(target, with_about(whole, **changes), "cannot be imported")


async def test_bytes_that_are_not_those_of_the_name_are_never_published(whole, target):
    data = packed([*whole[:2], (whole[2][0], b"wordz"), *whole[3:]])
    await refused(target, data, "are not those of its name")
    files = [path for path in target[1].folder.rglob("*") if path.is_file()]
    assert [path.name for path in files] in ([], [".lock"])


async def test_a_page_that_poses_as_a_picture_is_refused(whole, target):
    uri = json.loads(whole[1][1])["uri"].replace(".txt", ".png")
    await refused(target, with_about(whole, uri=uri, mime_type="image/png"), "is of another type")


async def test_more_than_was_said_is_refused(whole, target):
    for name in ("bytes", "jobs"):
        head = json.loads(whole[0][1]) | {name: 0}
        data = packed([(whole[0][0], json.dumps(head).encode()), *whole[1:]])
        await refused(target, data, "than it said")


async def test_more_than_the_disk_holds_is_refused_at_once(whole, target):
    head = json.loads(whole[0][1]) | {"bytes": 2**62}
    data = packed([(whole[0][0], json.dumps(head).encode()), *whole[1:]])
    await refused(target, data, "the disk has", StorageFailed)


async def test_a_bomb_is_refused_before_it_goes_off(whole, target):
    bomb = zlib.compressobj(9, wbits=31)
    member = tarfile.TarInfo("records/000000001.jsonl")
    member.size = 2**33
    plain = gzip.decompress(packed(whole[:3]))[:-1024]
    data = bomb.compress(plain + member.tobuf(tarfile.GNU_FORMAT))
    for _ in range(100):
        data += bomb.compress(b"x" * 2**20)
    await refused(target, data + bomb.flush(), "is longer than")


def with_record(whole, change):
    name, data = whole[3]
    assert name.startswith("records/")
    lines = []
    for line in data.splitlines():
        told = json.loads(line)
        changed = change(told) if "job" in told else None
        lines.append(changed if isinstance(changed, bytes) else json.dumps(told).encode())
    return packed([*whole[:3], (name, b"\n".join(lines)), *whole[4:]])


def set_job(**values):
    return lambda told: told["job"].update(values)


def set_part(part, **values):
    return lambda told: told[part][0].update(values)


WRONG = {
    "deep": lambda told: DEEP,
    "no JSON": lambda told: b"{",
    "NaN": lambda told: json.dumps(told).replace("0.5", "NaN", 1).encode(),
    "a list": lambda told: b"[]",
    "no kind": lambda told: b'{"key": {}}',
    "an id": set_job(id="../x"),
    "a number as id": set_job(id=7),
    "a state": set_job(state="done"),
    "arguments": set_job(arguments="[1]"),
    "deep arguments": set_job(arguments=DEEP.decode()),
    "a list as owner": set_job(owner=["ann"]),
    "no owner": set_job(owner=None),
    "an empty owner": set_job(owner=""),
    "huge": set_job(priority=2**70),
    "a word as time": set_job(created_at="now"),
    "infinite cost": set_job(cost=1e999),
    "a surrogate": set_job(message="\ud800"),
    "a column": set_job(**{"n) VALUES (1); DROP TABLE jobs; --": 1}),
    "a newer column": set_job(mood="x"),
    "a route": set_job(route="[]"),
    "a failure": set_job(failure="[1,2]"),
    "set aside for ever": set_job(reserved=5),
    "parents": set_job(parents="[1]"),
    "a part": lambda told: told.pop("events"),
    "another part": lambda told: told.update(keys=[]),
    "an event": set_part("events", kind="bill"),
    "an asset's path": set_part("assets", asset='["media://x",{},"image","",1,1,1,null,""]'),
    "an asset's side": set_part("assets", side="up"),
    "an asset's URI": set_part("assets", uri="media://x"),
    "a credit": set_part("ledger", usd=-1e9),
    "another's line": set_part("ledger", owner="bob"),
    "a line of no kind": set_part("ledger", kind="gift"),
    "a debt": lambda told: told["ledger"].append(
        told["ledger"][0] | {"kind": "reserve", "usd": 3.0}
    ),
}


@pytest.mark.parametrize("name", WRONG)
async def test_a_record_that_nothing_of_ours_wrote_is_refused(whole, target, name):
    await refused(target, with_record(whole, WRONG[name]), "cannot be imported")


@pytest.mark.parametrize(
    "line",
    [
        b'{"holding": {}}',
        b'{"holding": []}',
        b'{"holding": {"owner":"ann","uri":"x","size":1,"pinned_at":null,"removed_at":null,'
        b'"removed_by":null}}',
        b'{"upload": {"uri":"media://x","owner":"ann","name":null,"expires_at":null}}',
        b'{"upload": {"uri":"media://' + b"0" * 64 + b'.png","owner":"ann","name":"../x",'
        b'"expires_at":null}}',
    ],
)
async def test_a_wrong_holding_or_upload_is_refused(whole, target, line):
    name, data = whole[3]
    await refused(
        target, packed([*whole[:3], (name, data + line), *whole[4:]]), "cannot be imported"
    )
