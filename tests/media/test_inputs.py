import base64
import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from media_mcp.errors import BadMedia, NotFound, Refused
from media_mcp.job import Asset, MediaKind
from media_mcp.media import Inputs, MediaStore, files

Make = Callable[..., Path]
pytestmark = pytest.mark.anyio


@pytest.fixture
def inputs(store: MediaStore, tmp_path: Path) -> Inputs:
    return Inputs(store, roots=[tmp_path], max_bytes=200_000, allow_private=False)


async def refusal(
    inputs: Inputs, value: str, kind: MediaKind | None = None, roots: tuple[Path, ...] = ()
) -> BadMedia:
    with pytest.raises(BadMedia) as caught:
        await inputs.resolve(value, kind=kind, roots=roots)
    assert caught.value.hint
    return caught.value


def kept(store: MediaStore) -> list[Path]:
    return [p for p in store.folder.rglob("*") if p.is_file() and p.name != ".lock"]


async def test_a_path_becomes_an_asset_that_knows_its_source(
    inputs: Inputs, store: MediaStore, picture: Make
) -> None:
    path = picture("Crème brûlée.png")
    asset = await inputs.resolve(str(path), kind=MediaKind.IMAGE)
    assert (asset.role, asset.kind) == ("input", MediaKind.IMAGE)
    assert asset.path.name.startswith("creme-brulee-")
    side = await store.sidecar(asset.uri)
    assert side["provenance"]["source"] == str(path)
    assert side["jobs"] == []


@pytest.mark.parametrize("url", ["http://me:secret@example.com/a.png", "HTTPS://example.com/a"])
async def test_what_may_not_leave_this_machine_is_not_fetched(
    store: MediaStore, tmp_path: Path, picture: Make, url: str
) -> None:
    async def resolver(host: str, port: int) -> list[str]:
        raise AssertionError("looked up")

    inputs = Inputs(store, roots=[tmp_path], max_bytes=10**6, allow_private=True, resolver=resolver)
    with pytest.raises(Refused) as caught:
        await inputs.resolve(url, kind=None, no_fetch="projects.films.offline")
    assert caught.value.message.endswith(
        "is not fetched: projects.films.offline = true forbids what leaves this machine."
    )
    assert "secret" not in caught.value.message
    assert caught.value.hint == "Download the file and pass its path."
    assert await inputs.resolve(str(picture()), kind=None, no_fetch="offline")


async def test_a_relative_path_is_looked_for_under_each_root(
    store: MediaStore, picture: Make, tmp_path: Path
) -> None:
    picture()
    inputs = Inputs(
        store, roots=[tmp_path / "nowhere", tmp_path], max_bytes=10**6, allow_private=False
    )
    assert (await inputs.resolve("picture.png", kind=None)).kind is MediaKind.IMAGE
    assert (await inputs.resolve("./a/../picture.png", kind=None)).kind is MediaKind.IMAGE


async def test_a_file_uri_is_a_path(inputs: Inputs, picture: Make) -> None:
    path = picture("an image.png")
    for host in ("", "localhost"):
        asset = await inputs.resolve(f"file://{host}{quote(str(path))}", kind=MediaKind.IMAGE)
        assert asset.width == 64


async def test_a_file_uri_of_another_machine_is_refused(inputs: Inputs) -> None:
    said = await refusal(inputs, "file://fileserver/share/x.png")
    assert said.message == "file://fileserver/share/x.png names a file of another machine."


async def test_the_roots_of_a_client_hold_for_its_call_alone(
    store: MediaStore, picture: Make, tmp_path: Path
) -> None:
    inputs = Inputs(store, roots=[], max_bytes=10**6, allow_private=False)
    path = picture()
    assert await inputs.resolve(str(path), kind=None, roots=[tmp_path])
    said = await refusal(inputs, str(path))
    assert said.message == f"{path} is outside the folders that may be read (none is set)."
    assert "setting roots" in said.hint
    assert "client's roots" in said.hint


@pytest.mark.parametrize(
    "value", ["/etc/passwd", "../../../etc/passwd", "file:///etc/passwd", "~root/.profile"]
)
async def test_a_path_outside_the_roots_is_refused_naming_them(
    inputs: Inputs, tmp_path: Path, value: str
) -> None:
    said = await refusal(inputs, value)
    assert f"is outside the folders that may be read ({tmp_path})" in said.message


async def test_what_is_outside_is_refused_alike_whether_it_exists_or_not(
    inputs: Inputs,
) -> None:
    there = await refusal(inputs, "/etc/passwd")
    absent = await refusal(inputs, "/etc/nonesuch")
    assert there.message.replace("passwd", "nonesuch") == absent.message


async def test_a_link_is_followed_only_to_where_reading_is_allowed(
    store: MediaStore, picture: Make, tmp_path: Path
) -> None:
    (tmp_path / "open").mkdir()
    inputs = Inputs(store, roots=[tmp_path / "open"], max_bytes=10**6, allow_private=False)
    hidden = picture("hidden.png")
    (tmp_path / "open" / "seen.png").write_bytes(hidden.read_bytes())
    (tmp_path / "open" / "in.png").symlink_to("seen.png")
    (tmp_path / "open" / "out.png").symlink_to(hidden)
    (tmp_path / "open" / "up").symlink_to(tmp_path)
    assert (await inputs.resolve("in.png", kind=None)).width == 64
    for value in ("out.png", "up/hidden.png"):
        said = await refusal(inputs, value)
        assert "is outside the folders" in said.message
        assert "hidden.png" not in said.message.replace(value, "")


async def test_a_root_may_itself_be_a_link(
    store: MediaStore, picture: Make, tmp_path: Path
) -> None:
    picture()
    (tmp_path / "link").symlink_to(tmp_path)
    inputs = Inputs(store, roots=[tmp_path / "link"], max_bytes=10**6, allow_private=False)
    assert await inputs.resolve("picture.png", kind=None)
    assert await inputs.resolve(str(tmp_path / "picture.png"), kind=None)


@pytest.mark.parametrize("swapped", ["folder", "file"])
async def test_a_link_swapped_in_after_the_check_is_not_followed(
    inputs: Inputs, picture: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swapped: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "secret").mkdir()
    for place in ("folder", "secret"):
        (tmp_path / place / "x.png").write_bytes(picture().read_bytes())
    walk = files._open

    def swap_then_open(real: Path, root: Path) -> int:
        place = tmp_path / "folder" if swapped == "folder" else tmp_path / "folder" / "x.png"
        place.rename(tmp_path / "away")
        secret = tmp_path / "secret" if swapped == "folder" else tmp_path / "secret" / "x.png"
        place.symlink_to(secret)
        return walk(real, root)

    monkeypatch.setattr(files, "_open", swap_then_open)
    said = await refusal(inputs, "folder/x.png")
    assert "cannot be opened" in said.message


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("", "The input is empty."),
        ("  ", "The input is empty."),
        ("nonesuch.png", "nonesuch.png cannot be opened: no such file or directory."),
        ("x" * 5000, "cannot be opened: file name too long."),
        ("a\0b.png", "is not a path."),
        ("~nonesuch-user/x.png", "is not a path."),
        ("loop", "cannot be opened"),
        (".", "is not a regular file."),
        ("sub", "sub is not a regular file."),
        ("fifo", "fifo is not a regular file."),
        ("file:///%00", "is not a path."),
        ("\udcff.png", "cannot be opened"),
        ("s3://bucket/key", "Inputs cannot be read from s3:// addresses."),
        ("gopher://x", "Inputs cannot be read from gopher:// addresses."),
    ],
)
async def test_what_is_no_readable_file_is_said(
    inputs: Inputs, store: MediaStore, tmp_path: Path, value: str, words: str
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "sub").mkdir()
    os.mkfifo(tmp_path / "fifo")
    said = await refusal(inputs, value)
    assert words in said.message
    assert len(said.message) < 350
    assert kept(store) == []


async def test_a_file_larger_than_the_bound_is_refused(
    inputs: Inputs, store: MediaStore, tmp_path: Path
) -> None:
    (tmp_path / "big.txt").write_bytes(b"x" * 200_001)
    said = await refusal(inputs, "big.txt")
    assert said.message == "The input is larger than 200,000 bytes."
    assert "max_input_bytes" in said.hint
    (tmp_path / "big.txt").write_bytes(b"x" * 200_000)
    assert await inputs.resolve("big.txt", kind=None)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc")
async def test_a_file_that_holds_more_than_it_says_is_bounded_while_it_is_read(
    store: MediaStore,
) -> None:
    inputs = Inputs(store, roots=[Path("/proc")], max_bytes=100, allow_private=False)
    said = await refusal(inputs, f"/proc/{os.getpid()}/maps")
    assert said.message == "The input is larger than 100 bytes."
    assert kept(store) == []


async def test_an_asset_is_an_input_by_its_uri_and_by_its_path(
    store: MediaStore, picture: Make
) -> None:
    made = await store.put(picture(), role="images", name="x", provenance={"job": "j1"})
    inputs = Inputs(store, roots=[], max_bytes=10**6, allow_private=False)
    assert await inputs.resolve(made.uri, kind=MediaKind.IMAGE) == made
    by_path = await inputs.resolve(str(made.path), kind=MediaKind.IMAGE)
    assert by_path.uri == made.uri
    assert (await store.sidecar(made.uri))["provenance"]["job"] == "j1"
    with pytest.raises(NotFound):
        await inputs.resolve(f"media://{'0' * 64}.png", kind=None)


async def test_the_sidecars_of_assets_are_no_inputs(store: MediaStore, picture: Make) -> None:
    await store.put(picture(), role="images", name="x", provenance={})
    inputs = Inputs(store, roots=[], max_bytes=10**6, allow_private=False)
    (side,) = (store.folder / "index").rglob("*.json")
    assert "is outside" in (await refusal(inputs, str(side))).message


@pytest.mark.parametrize(
    ("name", "kind", "words", "hint"),
    [
        ("song.wav", MediaKind.IMAGE, "song.wav is audio (audio/wav); an image is wanted.", "png"),
        ("x.png", MediaKind.AUDIO, "x.png is an image (image/png); audio is wanted.", "mp3"),
        ("x.png", MediaKind.VIDEO, "x.png is an image (image/png); a video is wanted.", "mp4"),
        ("x.txt", MediaKind.MODEL3D, "x.txt is text (text/plain); a 3D model is wanted.", "glb"),
        ("x.bin", MediaKind.TEXT, "x.bin is a file of unknown kind", "UTF-8"),
        ("x.svg", MediaKind.IMAGE, "x.svg is an SVG drawing (image/svg+xml); an image", "png"),
    ],
)
async def test_the_wrong_kind_is_refused_saying_what_is_wanted(
    inputs: Inputs,
    store: MediaStore,
    picture: Make,
    sound: Make,
    tmp_path: Path,
    name: str,
    kind: MediaKind,
    words: str,
    hint: str,
) -> None:
    picture("x.png")
    sound("song.wav")
    (tmp_path / "x.txt").write_text("words")
    (tmp_path / "x.bin").write_bytes(b"\0\1")
    (tmp_path / "x.svg").write_text("<svg/>")
    said = await refusal(inputs, name, kind)
    assert said.message.startswith(words)
    assert hint in said.hint
    assert kept(store) == []


async def test_an_asset_of_the_wrong_kind_is_refused(
    inputs: Inputs, store: MediaStore, picture: Make
) -> None:
    made = await store.put(picture(), role="x", name="x", provenance={})
    said = await refusal(inputs, made.uri, MediaKind.AUDIO)
    assert "audio is wanted" in said.message


async def test_any_kind_will_do_where_a_file_is_wanted(inputs: Inputs, sound: Make) -> None:
    sound()
    assert (await inputs.resolve("sound.wav", kind=MediaKind.FILE)).kind is MediaKind.AUDIO


async def test_a_broken_file_is_refused_and_not_kept(
    inputs: Inputs, store: MediaStore, picture: Make
) -> None:
    path = picture(size=(200, 200))
    path.write_bytes(path.read_bytes()[:300])
    said = await refusal(inputs, "picture.png", MediaKind.IMAGE)
    assert "PNG image cannot be read" in said.message
    assert kept(store) == []


async def test_a_data_uri_holds_its_bytes_in_base64_or_percent_signs(
    inputs: Inputs, store: MediaStore, picture: Make
) -> None:
    data = picture().read_bytes()
    coded = base64.b64encode(data).decode()
    folded = "\n".join(coded[i : i + 76] for i in range(0, len(coded), 76))
    values = [
        f"data:image/png;base64,{coded}",
        f"DATA:text/html;charset=utf-8;BASE64,{folded}",
        f"data:;base64,{quote(coded, safe='')}",
        f"data:image/png,{quote(data)}",
    ]
    assets: list[Asset] = [await inputs.resolve(v, kind=MediaKind.IMAGE) for v in values]
    assert len({asset.uri for asset in assets}) == 1
    assert assets[0].mime_type == "image/png"
    assert (await store.sidecar(assets[0].uri))["provenance"]["source"] == "data: URI"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("data:image/png;base64", "has no comma"),
        ("data:image/png;base64,!!!!", "does not hold valid base64"),
        ("data:image/png;base64,abc", "does not hold valid base64"),
        ("data:image/png;base64,\udc80bc=", "does not hold valid base64"),
        ("data:,", "The file is empty"),
        ("data:text/plain," + "x" * 200_001, "larger than 200,000 bytes"),
        ("data:text/plain," + "x" * 900_000, "larger than 200,000 bytes"),
    ],
)
async def test_a_bad_data_uri_is_refused(
    inputs: Inputs, store: MediaStore, value: str, words: str
) -> None:
    said = await refusal(inputs, value)
    assert words in said.message
    assert len(said.message) < 200
    assert kept(store) == []
