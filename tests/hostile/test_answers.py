"""Servers that answer in bad faith: whatever they send costs little, and is told in our words."""

from __future__ import annotations

import gzip
import io
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain, repeat
from socketserver import BaseRequestHandler, ThreadingTCPServer

import pytest
from memory import grown
from PIL import Image

from media_mcp.errors import BadMedia
from media_mcp.media import Inputs, MediaStore

pytestmark = pytest.mark.anyio
Make = Callable[..., Inputs]
Say = Iterator[bytes]
OK = b"HTTP/1.1 200 OK\r\n"


class Liar(ThreadingTCPServer):
    """Answers each path with bytes of its own, until whoever asked has gone."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        self.says: dict[str, Callable[[], Say]] = {}
        self.heard: list[bytes] = []
        super().__init__(("127.0.0.1", 0), Answer)

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.server_address[1]}{path}"


class Answer(BaseRequestHandler):
    server: Liar

    def handle(self) -> None:
        asked = b""
        self.request.settimeout(20)
        with suppress(OSError):
            while b"\r\n\r\n" not in asked and (more := self.request.recv(65536)):
                asked += more
            self.server.heard.append(asked)
            path = asked.split(b" ")[1].decode()
            for part in self.server.says[path]():
                self.request.sendall(part)
            self.request.shutdown(socket.SHUT_WR)
            while self.request.recv(65536):
                pass


@pytest.fixture(scope="module")
def liar() -> Iterator[Liar]:
    server = Liar()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def picture() -> bytes:
    data = io.BytesIO()
    Image.linear_gradient("L").resize((8, 8)).save(data, "PNG")
    return data.getvalue()


def head(*lines: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode("latin-1")


def endless(part: bytes) -> Say:
    return repeat(part)


BOMB = gzip.compress(bytes(2**26), 1)
MANY = zlib.compress(bytes(2**28), 9)
MEGABYTE = bytes(2**20)
SENDS: dict[str, Callable[[], Say]] = {
    "nothing at all": lambda: iter([]),
    "a body and no head, as in 1991": lambda: iter([picture()]),
    "another protocol": lambda: iter([b"SSH-2.0-OpenSSH_9.6\r\n"]),
    "a status that is none": lambda: iter([b"HTTP/1.1 abc OK\r\n\r\n"]),
    "a status of 5,000 digits": lambda: iter([b"HTTP/1.1 " + b"2" * 5000 + b" OK\r\n\r\n"]),
    "a version that is none": lambda: iter([b"HTTP/9.9 200 OK\r\n\r\n" + picture()]),
    "a head that never ends": lambda: chain([OK], endless(b"X-A: " + b"a" * 1000 + b"\r\n")),
    "one header that never ends": lambda: chain([OK + b"X-A: "], endless(b"a" * 65536)),
    "two million headers": lambda: chain([OK], repeat(b"A: b\r\n" * 1000, 2000), [b"\r\n"]),
    "a header with NUL in it": lambda: iter([OK + b"X-A: a\0b\r\n\r\n" + picture()]),
    "a header without a name": lambda: iter([OK + b": b\r\n\r\n" + picture()]),
    "a length below nothing": lambda: iter([head("Content-Length: -1"), picture()]),
    "a length of 5,000 digits": lambda: iter([head("Content-Length: " + "9" * 5000), picture()]),
    "a length that is no number": lambda: iter([head("Content-Length: many"), picture()]),
    "a length in other digits": lambda: iter([head("Content-Length: \xb2"), picture()]),
    "two lengths": lambda: iter([head("Content-Length: 1", "Content-Length: 9"), picture()]),
    "a length too great": lambda: iter([head("Content-Length: 100000"), picture()]),
    "a length too small": lambda: iter([head("Content-Length: 20"), picture()]),
    "a length beyond what is taken": lambda: iter([head("Content-Length: 99999999")]),
    "chunks of no size": lambda: iter([head("Transfer-Encoding: chunked"), b"\r\n" * 1000]),
    "a chunk of 2^64 bytes": lambda: iter(
        [head("Transfer-Encoding: chunked"), b"ffffffffffffffff\r\n", picture()]
    ),
    "a chunk whose size never ends": lambda: chain(
        [head("Transfer-Encoding: chunked")], endless(b"0" * 65536)
    ),
    "a trailer that never ends": lambda: chain(
        [head("Transfer-Encoding: chunked"), b"0\r\n"], endless(b"X-A: " + b"a" * 1000 + b"\r\n")
    ),
    "a coding of its own": lambda: iter([head("Transfer-Encoding: gzip, chunked"), b"0\r\n\r\n"]),
    "a body that unpacks": lambda: iter([head("Content-Encoding: gzip"), BOMB]),
    "a body that unpacks twice": lambda: iter([head("Content-Encoding: gzip, gzip"), BOMB]),
    "a body that never ends": lambda: chain([head()], endless(MEGABYTE)),
    "a hundred answers before the answer": lambda: chain(
        repeat(head(status="103 Early Hints"), 100), [head(status="404 Not Found")]
    ),
    "another protocol from here on": lambda: iter([head("Upgrade: x", status="101 Switching")]),
    "nothing, on purpose": lambda: iter([head(status="204 No Content")]),
    "a part": lambda: iter([head("Content-Range: bytes 0-9/10", status="206 Partial"), picture()]),
    "a page": lambda: iter([head("Content-Type: image/png"), b"<html>sign in</html>"]),
}
REDIRECTS: dict[str, tuple[tuple[str, ...], Callable[[], Say]]] = {
    "a body that never ends": ((), lambda: endless(MEGABYTE)),
    "a body that unpacks": (("Content-Encoding: gzip",), lambda: repeat(BOMB, 40)),
    "a body that unpacks to many": (
        ("Content-Encoding: deflate",),
        lambda: iter([MANY]),
    ),
    "a body that is not what it says": (("Content-Encoding: gzip",), lambda: iter([b"x" * 99])),
    "a length that it does not keep": (("Content-Length: 999999999",), lambda: iter([b"x"])),
}
LEADS = (
    "",
    " ",
    "/\r\nX-Injected: 1",
    "//",
    "//[",
    "http:",
    "http://",
    "http:///x",
    "http://x y/",
    "http://[::1",
    "http://%00/",
    "http://a\0b/",
    "?" + "q" * 60_000,
    "http://" + "a" * 10_000 + ".example/",
    "http://" + "a." * 5000 + "example/",
    "http://127.0.0.1:99999/",
    "http://127.0.0.1:-1/",
    "http://user:pass@[::]/",
    "\xff\xfe",
    "mailto:x@example.org",
    "HTTP://169.254.169.254/",
)


async def refused(inputs: Inputs, url: str) -> str:
    with pytest.raises(BadMedia) as caught:
        await inputs.resolve(url, kind=None)
    assert caught.value.hint
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 700
    return caught.value.message


@pytest.mark.parametrize("what", SENDS)
async def test_no_answer_costs_more_than_its_bound(
    inputs: Make, liar: Liar, store: MediaStore, what: str
) -> None:
    liar.says["/x"] = SENDS[what]
    asked = inputs(allow_private=True, seconds=20.0)
    with grown() as more:
        try:
            asset = await asked.resolve(liar.url("/x"), kind=None)
        except BadMedia as error:
            assert error.message.startswith((liar.url("/x"), "The "))
        else:
            assert asset.mime_type in ("image/png", "text/plain")
    assert more() < 2**24
    assert not store.folder.exists() or not [*(store.folder / "staging").iterdir()]


@pytest.mark.parametrize("what", REDIRECTS)
async def test_what_a_redirect_says_beside_its_address_is_not_read(
    inputs: Make, liar: Liar, what: str
) -> None:
    lines, body = REDIRECTS[what]
    liar.says["/on"] = lambda: chain([head("Location: /x", *lines, status="302 Found")], body())
    liar.says["/x"] = lambda: iter([head(), picture()])
    with grown() as more:
        asset = await inputs(allow_private=True, seconds=20.0).resolve(liar.url("/on"), kind=None)
    assert asset.mime_type == "image/png"
    assert more() < 2**24


@pytest.mark.parametrize("where", LEADS)
async def test_no_redirect_leads_astray(inputs: Make, liar: Liar, where: str) -> None:
    line = b"Location: " + where.encode("latin-1") + b"\r\n"
    liar.says["/on"] = lambda: iter([b"HTTP/1.1 302 Found\r\n" + line + b"\r\n"])
    liar.heard.clear()
    said = await refused(inputs(allow_private=True, seconds=20.0), liar.url("/on"))
    assert said
    assert not any(b"X-Injected" in heard for heard in liar.heard)


async def test_nothing_secret_goes_along_with_a_redirect(inputs: Make, liar: Liar) -> None:
    """Neither the URL's password nor a cookie reaches another host, nor does where we came from."""

    async def here(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    lines = (f"Location: {liar.url('/x', 'other.example')}", "Set-Cookie: a=hunter2")
    liar.says["/on"] = lambda: iter([head(*lines, status="302 Found")])
    liar.says["/x"] = lambda: iter([head(), picture()])
    liar.heard.clear()
    url = liar.url("/on", "user:hunter2@first.example")
    await inputs(allow_private=True, resolver=here).resolve(url, kind=None)
    first, second = liar.heard
    assert b"authorization: basic" in first.lower()
    assert b"hunter2" not in second
    assert not {b"authorization", b"cookie", b"referer"} & {
        line.partition(b":")[0].lower() for line in second.split(b"\r\n")
    }


async def test_no_proxy_of_the_environment_is_asked(
    inputs: Make, liar: Liar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy would look the host up itself, and go where it was not checked."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    liar.says["/x"] = lambda: iter([head(), picture()])
    assert await inputs(allow_private=True).resolve(liar.url("/x"), kind=None)
