"""Paths and names: nothing is read outside the roots, and nothing is called what it must not be."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from PIL import Image

from media_mcp.errors import BadMedia, NotFound, StorageFailed
from media_mcp.media import Inputs, MediaStore, name_for
from media_mcp.media.names import redact, shown
from media_mcp.queue.moving import written_whole

pytestmark = pytest.mark.anyio
Make = Callable[..., Inputs]
SECRET = b"the secret of this machine"

OUTSIDE = (
    "/etc/passwd",
    "/etc/shadow",
    "/proc/self/environ",
    "/proc/self/mem",
    "/proc/self/fd/0",
    "/proc/1/root/etc/passwd",
    "/dev/zero",
    "/dev/stdin",
    "/dev/fd/0",
    "/sys/kernel/notes",
    "~/.ssh/id_rsa",
    "~root/.ssh/id_rsa",
    "~nobody-of-that-name/x",
    "file:///etc/passwd",
    "file://localhost/etc/passwd",
    "file:/etc/passwd",
    "file:////etc/passwd",
    "file:///%2e%2e/%2e%2e/etc/passwd",
    "file://%00/etc/passwd",
    "FILE:///etc/passwd",
    "file://evil.example/share/x.png",
    "\\\\evil.example\\share\\x.png",
    "//evil.example/share/x.png",
    "smb://evil.example/x.png",
    "fd:0",
    "pipe:0",
    "concat:/etc/passwd|/etc/hosts",
    "subfile,,start,0,end,0,,:/etc/passwd",
    "zip:///etc/passwd",
    "php://filter/resource=/etc/passwd",
    "jar:file:///x!/y",
    "media:///etc/passwd",
    "media://../../etc/passwd",
    f"media://{'a' * 64}.png/../../../etc/passwd",
    f"media://{'a' * 64}.../etc/passwd",
    f"media://{'g' * 64}.png",
    f"media://{'a' * 64}.png\n",
    "",
    " ",
    ".",
    "..",
    "/",
    "\0",
    "x\0.png",
    "secret.png\0/../x",
    "x" * 5000,
    "/".join("x" * 200 for _ in range(50)),
    "\ud800",
    "\udcff/x",
    "%2e%2e/secret.txt",
    "..%2fsecret.txt",
    "..%c0%afsecret.txt",
    "\N{FULLWIDTH FULL STOP}\N{FULLWIDTH FULL STOP}/secret.txt",
    "..\N{DIVISION SLASH}secret.txt",
    "..\N{FRACTION SLASH}secret.txt",
)
CLIMBS = tuple(
    climb * times + "secret.txt"
    for climb in (
        "../",
        "..//",
        ".././",
        "./../",
        "inner/../../",
        "..\\",
        "....//",
        "inner/../../x/../",
    )
    for times in (1, 2, 3, 8, 40)
)


@pytest.fixture
def rooted(inputs: Make, tmp_path: Path) -> Inputs:
    """Inputs that may read one folder, which lies beside a secret."""
    root = tmp_path / "root"
    (root / "inner").mkdir(parents=True)
    Image.linear_gradient("L").resize((8, 8)).save(root / "fine.png")
    (tmp_path / "secret.txt").write_bytes(SECRET)
    (tmp_path / "secret.png").write_bytes((root / "fine.png").read_bytes())
    return inputs(roots=[root])


async def refused(inputs: Inputs, value: str, store: MediaStore) -> None:
    with pytest.raises((BadMedia, NotFound)) as caught:
        await inputs.resolve(value, kind=None)
    assert SECRET.decode() not in str(caught.value)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 700
    assert not store.folder.exists() or not [*(store.folder / "staging").iterdir()]


@pytest.mark.parametrize("value", [*OUTSIDE, *CLIMBS])
async def test_no_path_leads_outside(rooted: Inputs, store: MediaStore, value: str) -> None:
    await refused(rooted, value, store)


@pytest.mark.parametrize("value", CLIMBS[:20])
async def test_no_path_leads_outside_from_a_root_that_is_named_whole(
    rooted: Inputs, store: MediaStore, tmp_path: Path, value: str
) -> None:
    await refused(rooted, f"{tmp_path}/root/{value}", store)
    await refused(rooted, f"file://{tmp_path}/root/{value}", store)


def link_to_file(root: Path) -> str:
    (root / "link.png").symlink_to(root.parent / "secret.png")
    return "link.png"


def link_to_folder(root: Path) -> str:
    (root / "links").symlink_to(root.parent)
    return "links/secret.png"


def link_to_link(root: Path) -> str:
    (root / "a").symlink_to(root / "b")
    (root / "b").symlink_to("../secret.png")
    return "a"


def link_to_itself(root: Path) -> str:
    (root / "me").symlink_to(root / "me")
    return "me"


def link_to_devices(root: Path) -> str:
    (root / "noise").symlink_to("/dev/zero")
    return "noise"


def link_to_ourselves(root: Path) -> str:
    (root / "self").symlink_to("/proc/self")
    return "self/environ"


def pipe(root: Path) -> str:
    os.mkfifo(root / "pipe.png")
    return "pipe.png"


def folder(root: Path) -> str:
    (root / "folder.png").mkdir()
    return "folder.png"


def unreadable(root: Path) -> str:
    (root / "huge.png").touch()
    os.truncate(root / "huge.png", 2**40)  # holes: it takes no room
    return "huge.png"


TRAPS = (
    link_to_file,
    link_to_folder,
    link_to_link,
    link_to_itself,
    link_to_devices,
    link_to_ourselves,
    pipe,
    folder,
    unreadable,
)


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.__name__)
async def test_no_trap_in_a_root_is_walked_into(
    rooted: Inputs, store: MediaStore, tmp_path: Path, trap: Callable[[Path], str]
) -> None:
    await refused(rooted, trap(tmp_path / "root"), store)


async def test_a_link_that_changes_all_the_time_never_leads_outside(
    rooted: Inputs, store: MediaStore, tmp_path: Path
) -> None:
    """A folder is swapped for a link to the outside and back, as fast as can be."""
    inner, aside = tmp_path / "root" / "inner", tmp_path / "root" / "aside"
    (inner / "x.txt").write_bytes(b"harmless")
    (tmp_path / "x.txt").write_bytes(SECRET)
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            inner.rename(aside)
            inner.symlink_to(tmp_path)
            inner.unlink()
            aside.rename(inner)

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        for _ in range(100):
            try:
                asset = await rooted.resolve("inner/x.txt", kind=None)
            except BadMedia:
                continue
            assert await anyio.Path(asset.path).read_bytes() == b"harmless"
    finally:
        over.set()
        swapping.join()


ODD_NAMES = (
    "../../etc/passwd",
    "..",
    ".",
    "",
    " ",
    "con",
    "NUL.txt",
    "com1",
    "-rf",
    "--help",
    "a\0b",
    "a\r\nSet-Cookie: x=1",
    'a"; filename="x.html',
    "a\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe",
    "a\N{ZERO WIDTH SPACE}b",
    "\N{COMBINING ACUTE ACCENT}" * 500,
    "é\u0301\N{LATIN SMALL LIGATURE FFI}",
    "\N{FULLWIDTH SOLIDUS}etc\N{FULLWIDTH SOLIDUS}passwd",
    "$(reboot)",
    "`reboot`",
    "a;reboot",
    "a|b&c",
    "%00%2e%2e",
    "<script>",
    "\ud800\udfff",
    "\x1b[2J",
    "x" * 100_000,
    "\N{PILE OF POO}" * 100,
    "CON.",
    "a/b\\c:d*e?f",
)


@pytest.mark.parametrize("name", ODD_NAMES)
async def test_no_name_of_a_file_is_more_than_letters_and_dashes(
    store: MediaStore, name: str
) -> None:
    assert re.fullmatch(r"[a-z0-9]+(?:-[a-z0-9]+)*", name_for(name))
    assert len(name_for(name)) <= 48
    asset = await store.put_bytes(b"words", role="x", name=name, provenance={"source": name})
    assert asset.path.resolve().is_relative_to(store.folder.resolve())
    assert asset.path.parent.parent == store.folder
    assert "source" in (await store.sidecar(asset.uri))["provenance"]


@pytest.mark.parametrize("text", [*ODD_NAMES, *OUTSIDE])
def test_what_is_shown_is_one_line_that_can_be_printed(text: str) -> None:
    assert shown(text).isprintable()
    assert len(shown(text)) <= 200 * 10
    assert redact(f"http://user:hunter2@x.example/{text}?token=hunter2").isprintable()
    assert "hunter2" not in redact(f"http://user:hunter2@x.example/{text[:50]}?token=hunter2")


async def test_a_file_that_grows_while_it_is_read_comes_to_an_end(
    inputs: Make, store: MediaStore, tmp_path: Path
) -> None:
    """It is within the bound when it is opened, and far beyond when it has been read."""
    root = tmp_path / "root"
    root.mkdir()
    over, growing = threading.Event(), threading.Event()
    (root / "log.txt").write_bytes(b"a line\n")

    def grow() -> None:
        with (root / "log.txt").open("ab") as file:
            while not over.is_set():
                file.write(b"a line\n" * 100_000)
                growing.set()
                if file.tell() > 400_000_000:  # nobody stopped reading
                    return

    bounded = inputs(roots=[root], max_bytes=1_000_000)
    thread = threading.Thread(target=grow)
    thread.start()
    try:
        growing.wait()
        await refused(bounded, "log.txt", store)
    finally:
        over.set()
        thread.join()


async def test_a_file_that_is_cut_or_replaced_meanwhile_is_one_of_both(
    inputs: Make, store: MediaStore, tmp_path: Path
) -> None:
    root, secret = tmp_path / "root", tmp_path / "secret.txt"
    root.mkdir()
    secret.write_bytes(SECRET)
    (root / "x.txt").write_bytes(b"harmless " * 1000)
    asked, over = inputs(roots=[root]), threading.Event()

    def swap() -> None:
        """A file, a link to the secret, a pipe, and a file again."""
        while not over.is_set():
            for make in (lambda p: p.symlink_to(secret), os.mkfifo, Path.touch):
                make(root / "next")
                (root / "next").replace(root / "x.txt")
            (root / "next").write_bytes(b"harmless " * 1000)
            (root / "next").replace(root / "x.txt")

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        with anyio.fail_after(60):
            for _ in range(100):
                try:
                    asset = await asked.resolve("x.txt", kind=None)
                except BadMedia as error:
                    assert SECRET.decode() not in str(error)
                    continue
                assert (await anyio.Path(asset.path).read_bytes()).startswith(b"harmless")
    finally:
        over.set()
        swapping.join()
    assert not [*(store.folder / "staging").iterdir()]


@pytest.mark.parametrize("target", ["file", "link", "dangling link", "hard link"])
def test_an_export_replaces_a_link_and_not_what_it_leads_to(tmp_path: Path, target: str) -> None:
    precious, path = tmp_path / "precious", tmp_path / "backup.tar.gz"
    precious.write_bytes(SECRET)
    precious.chmod(0o644)
    match target:
        case "file":
            path.write_bytes(b"an older one")
        case "link":
            path.symlink_to(precious)
        case "dangling link":
            path.symlink_to(tmp_path / "nowhere")
        case _:
            path.hardlink_to(precious)
    with written_whole(path) as file:
        file.write(b"an archive")
    assert precious.read_bytes() == SECRET
    assert not (tmp_path / "nowhere").exists()
    assert not path.is_symlink()
    assert path.read_bytes() == b"an archive"
    assert path.stat().st_mode & 0o777 == 0o600
    assert {each.name for each in tmp_path.iterdir()} == {"precious", "backup.tar.gz"}


@pytest.mark.parametrize("name", ["pipe", "zero", "folder", "self"])
def test_an_export_onto_what_is_no_file_touches_nothing(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    match name:
        case "pipe":
            os.mkfifo(path)
        case "zero":
            path.symlink_to("/dev/zero")
        case "self":
            path.symlink_to(path)
        case _:
            path.mkdir()
    if name == "folder":
        with pytest.raises(StorageFailed, match="cannot be written"), written_whole(path) as file:
            file.write(b"x")
        assert path.is_dir()
    else:
        with written_whole(path) as file:
            file.write(b"x")
        assert path.read_bytes() == b"x"
    assert [each.name for each in tmp_path.iterdir()] == [name]
