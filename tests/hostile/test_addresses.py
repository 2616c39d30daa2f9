"""Nothing is fetched from where it may not be, however that is spelled, and whenever it changes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest
from addresses import NEVER, NEVER_V6, PRIVATE, PRIVATE_V6, spellings, tricks

from media_mcp.errors import BadMedia
from media_mcp.media import Inputs, MediaStore
from media_mcp.media.addresses import may_reach
from media_mcp.media.fetch import CheckedTransport

pytestmark = pytest.mark.anyio
PUBLIC = "93.184.215.14"
Make = Callable[..., Inputs]


class Trap(ThreadingHTTPServer):
    """Notes whoever comes; `leads` is where it sends them on to."""

    daemon_threads = True

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.leads = ""
        super().__init__(("127.0.0.1", 0), Visit)


class Visit(BaseHTTPRequestHandler):
    server: Trap

    def do_GET(self) -> None:
        self.server.seen.append(self.path)
        self.send_response(302 if self.server.leads else 200)
        if self.server.leads:
            self.send_header("Location", self.server.leads)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def trap() -> Iterator[Trap]:
    server = Trap()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


async def resolver(host: str, port: int) -> list[str]:
    """Know numbers only, as getaddrinfo reads them: no name is asked for outside."""
    import socket

    found = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    )
    return [str(entry[4][0]) for entry in found]


async def refused(inputs: Inputs, url: str) -> str:
    with pytest.raises(BadMedia) as caught:
        await inputs.resolve(url, kind=None)
    assert caught.value.hint
    assert "\n" not in caught.value.message
    assert "\r" not in caught.value.message
    return caught.value.message


HOSTS = [host for address in (*PRIVATE, *NEVER) for host in spellings(address)]
HOSTS += [f"[{address}]" for address in (*PRIVATE_V6, *NEVER_V6)]
URLS = [url for address in ("127.0.0.1", "169.254.169.254", "10.0.0.1") for url in tricks(address)]


@pytest.mark.parametrize("host", HOSTS)
async def test_no_spelling_of_a_private_address_is_fetched(
    inputs: Make, trap: Trap, store: MediaStore, host: str
) -> None:
    asked = inputs(resolver=resolver)
    await refused(asked, f"http://{host}:{trap.server_port}/hosts")
    assert "/hosts" not in trap.seen
    assert not store.folder.exists() or not list((store.folder / "staging").iterdir())


@pytest.mark.parametrize("url", URLS)
async def test_no_trick_of_urls_leads_inside(inputs: Make, trap: Trap, url: str) -> None:
    await refused(inputs(resolver=resolver), url)
    await refused(inputs(resolver=resolver), url.replace("/x.png", f":{trap.server_port}/tricks"))
    assert "/tricks" not in trap.seen


@pytest.mark.parametrize(
    "host", [host for address in NEVER[:5] for host in spellings(address)] + [*NEVER_V6]
)
async def test_no_redirect_leads_to_what_is_never_fetched(
    inputs: Make, trap: Trap, host: str
) -> None:
    """The first address may be private here, by the operator's word; the next may not be this."""
    trap.leads = f"http://{host}/latest/meta-data/"
    trap.seen.clear()
    asked = inputs(resolver=resolver, allow_private=True, seconds=5.0)
    await refused(asked, f"http://127.0.0.1:{trap.server_port}/first")
    assert trap.seen == ["/first"]


ELSEWHERE = (
    "file:///etc/passwd",
    "gopher://127.0.0.1/x",
    "ftp://127.0.0.1/x",
    "data:text/plain,x",
    "javascript:alert(1)",
    "http://",
    "//127.0.0.1:1/",
    "http://[",
    "http://a b/",
    "\\\\x\\y",
)


@pytest.mark.parametrize("where", ELSEWHERE)
async def test_no_redirect_leads_away_from_http(inputs: Make, trap: Trap, where: str) -> None:
    trap.leads = where
    asked = inputs(resolver=resolver, allow_private=False, seconds=5.0)
    transport_allows_first = inputs(resolver=resolver, allow_private=True, seconds=5.0)
    url = f"http://127.0.0.1:{trap.server_port}/away"
    await refused(asked, url)
    await refused(transport_allows_first, url)


class Turning:
    """Names whose answers change with each question."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers, self.asked = list(answers), 0

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked += 1
        return self.answers[min(self.asked, len(self.answers)) - 1]


@pytest.mark.parametrize("second", [*PRIVATE, *NEVER, *PRIVATE_V6, *NEVER_V6])
async def test_an_answer_that_holds_one_private_address_is_refused(
    inputs: Make, trap: Trap, second: str
) -> None:
    for answer in ([second], [PUBLIC, second], [second, PUBLIC]):
        said = await refused(inputs(resolver=Turning(answer)), "http://rebind.example/both")
        assert said == "rebind.example is not a public address; inputs are not fetched from there."


@pytest.mark.parametrize("second", ["127.0.0.1", "169.254.169.254", "::1", "10.0.0.1"])
async def test_the_address_that_was_checked_is_the_one_that_is_called(second: str) -> None:
    """The name is asked once; what it would say the next time does not matter."""
    turning, called = Turning([PUBLIC], [second]), []

    class Watched(CheckedTransport):
        async def _send(self, request: httpx2.Request) -> httpx2.Response:
            called.append(request.url.host)
            raise httpx2.ConnectError("no network here")

    transport = Watched(turning, allow_private=False)
    transport._pool.handle_async_request = transport._send  # type: ignore[assignment,method-assign]
    async with httpx2.AsyncClient(transport=transport, trust_env=False) as client:
        with pytest.raises(httpx2.ConnectError):
            await client.get("http://rebind.example/")
    assert turning.asked == 1


@pytest.mark.parametrize("address", [*PRIVATE, *PRIVATE_V6])
def test_private_addresses_are_for_those_who_allow_them(address: str) -> None:
    assert not may_reach(address, allow_private=False)


@pytest.mark.parametrize("address", [*NEVER, *NEVER_V6])
def test_some_addresses_are_for_nobody(address: str) -> None:
    assert not may_reach(address, allow_private=False)
    assert not may_reach(address, allow_private=True)


@pytest.mark.parametrize(
    "address",
    [
        "64:ff9b:1::a9fe:a9fe",  # NAT64, a network's own
        "::ffff:0:a9fe:a9fe",  # SIIT
        "2001:4860:1:1:0:5efe:a9fe:a9fe",  # ISATAP
        "2001:4860:1:1:200:5efe:a9fe:a9fe",
        "fd20:ce::254",  # where a cloud keeps secrets
        "fd00:ec2::23",
    ],
)
def test_a_way_around_to_those_is_for_nobody_either(address: str) -> None:
    assert not may_reach(address, allow_private=True)


@pytest.mark.parametrize("text", ["", "x", "1.2.3", "::ffff:", "300.1.1.1", "1.2.3.4.5", "[::1]"])
def test_what_is_no_address_is_not_called(text: str) -> None:
    assert not may_reach(text, allow_private=True)


def test_the_corpus_is_as_large_as_it_says(tmp_path: Path) -> None:
    assert len(HOSTS) + len(URLS) > 500
