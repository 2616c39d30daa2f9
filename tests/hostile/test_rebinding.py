"""Names whose answers change between check and use, as a system's resolver may give them."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from media_mcp.errors import BadMedia
from media_mcp.job import Caller, Failure, Job, JobState, Route, Webhook
from media_mcp.media import Inputs, MediaStore, fetch
from media_mcp.queue import Delivery
from media_mcp.server.queue_api.keys import ServerKey
from media_mcp.server.queue_api.webhooks import Webhooks

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 is an address of ours there"),
]

PUBLIC, PRIVATE = "127.0.0.2", "127.0.0.1"  # the tests take the first for a public one
Make = Callable[..., Inputs]


class House(ThreadingHTTPServer):
    """Notes who was asked for on which connection; `leads` says where each path leads."""

    daemon_threads = True

    def __init__(self, host: str, port: int) -> None:
        self.seen: list[tuple[str, str]] = []
        self.connections: set[Any] = set()
        self.leads: dict[str, str] = {}
        super().__init__((host, port), Guest)


class Guest(BaseHTTPRequestHandler):
    server: House
    protocol_version = "HTTP/1.1"  # connections are kept

    def do_GET(self) -> None:
        self.server.seen.append((self.headers["Host"].partition(":")[0], self.path))
        self.server.connections.add(self.client_address)
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        leads = self.server.leads.get(self.path)
        body = b"" if leads else picture()
        self.send_response(302 if leads else 200)
        if leads:
            self.send_header("Location", leads)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


def picture() -> bytes:
    file = BytesIO()
    Image.linear_gradient("L").resize((8, 8)).save(file, "png")
    return file.getvalue()


def two_houses() -> tuple[House, House]:
    """Return houses with one number; the private one's may be somebody else's already."""
    for _ in range(20):
        public = House(PUBLIC, 0)
        try:
            return public, House(PRIVATE, public.server_port)
        except OSError:
            public.server_close()
    raise AssertionError("no port is free on both addresses")


@contextmanager
def open_house(house: House) -> Iterator[House]:
    serving = threading.Thread(target=house.serve_forever, args=(0.01,), daemon=True)
    serving.start()
    try:
        yield house
    finally:
        house.shutdown()
        house.server_close()
        serving.join()


class Street:
    """Two houses with one number, a public and a private one, and a resolver that lies."""

    def __init__(self, public: House, private: House) -> None:
        self.public, self.private = public, private
        self.port = public.server_port
        self.answers: dict[str, list[list[str]]] = {}
        self.asked: list[str] = []

    def url(self, host: str, path: str = "/x.png") -> str:
        return f"http://{host}:{self.port}{path}"

    def look_up(self, host: str) -> list[str]:
        """Give the next of a name's answers, and the last one for ever."""
        self.asked.append(host)
        known = self.answers[host]
        return known.pop(0) if len(known) > 1 else known[0]


@pytest.fixture
def street(monkeypatch: pytest.MonkeyPatch) -> Iterator[Street]:
    real = socket.getaddrinfo
    with ExitStack() as stack:
        public, private = (stack.enter_context(open_house(house)) for house in two_houses())
        made = Street(public, private)

        def resolved(host: Any, port: Any, *more: Any, **given: Any) -> Any:
            name = host.decode() if isinstance(host, bytes) else host
            if name not in made.answers:
                return real(host, port, *more, **given)
            kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
            return [(*kind, (address, port)) for address in made.look_up(name)]

        monkeypatch.setattr(socket, "getaddrinfo", resolved)
        monkeypatch.setattr(fetch, "may_reach", lambda text, *, allow_private: text == PUBLIC)
        yield made


async def test_an_input_comes_from_the_address_that_was_checked(
    inputs: Make, street: Street
) -> None:
    street.answers["rebind.example"] = [[PUBLIC], [PRIVATE]]
    asset = await inputs().resolve(street.url("rebind.example"), kind=None)
    assert asset.mime_type == "image/png"
    assert street.public.seen == [("rebind.example", "/x.png")]
    assert street.asked == ["rebind.example"]
    assert not street.private.seen


async def test_a_name_that_turns_private_between_two_redirects_is_refused(
    inputs: Make, street: Street, store: MediaStore
) -> None:
    street.answers["rebind.example"] = [[PUBLIC], [PUBLIC], [PRIVATE]]
    street.public.leads = {"/x.png": "/y.png", "/y.png": street.url("rebind.example", "/z.png")}
    with pytest.raises(BadMedia, match=r"rebind\.example is not a public address"):
        await inputs().resolve(street.url("rebind.example"), kind=None)
    assert [path for _, path in street.public.seen] == ["/x.png", "/y.png"]
    assert not street.private.seen
    assert not [*(store.folder / "staging").iterdir()]


async def test_a_name_with_one_private_address_among_others_is_refused(
    inputs: Make, street: Street
) -> None:
    street.answers["rebind.example"] = [[PUBLIC, PRIVATE]]
    with pytest.raises(BadMedia, match="is not a public address"):
        await inputs().resolve(street.url("rebind.example"), kind=None)
    assert not street.public.seen
    assert not street.private.seen


async def test_a_connection_serves_the_name_that_it_was_made_for_and_no_other(
    inputs: Make, street: Street
) -> None:
    """Both names have one address: what was agreed with the first says nothing of the second."""
    street.answers = {"one.example": [[PUBLIC]], "two.example": [[PUBLIC]]}
    street.public.leads = {"/x.png": street.url("two.example", "/y.png")}
    await inputs().resolve(street.url("one.example"), kind=None)
    assert street.public.seen == [("one.example", "/x.png"), ("two.example", "/y.png")]
    assert street.asked == ["one.example", "two.example"]
    assert len(street.public.connections) == 2


def delivery(url: str, attempt: int = 1) -> Delivery:
    job = Job(
        id="job",
        model="x/y",
        state=JobState.FAILED,
        caller=Caller("ann"),
        arguments={},
        route=Route("local"),
        seed=1,
        door="queue",
        created_at=0.0,
        failure=Failure("bug", "It failed."),
        webhook=Webhook(url),
    )
    return Delivery(1, attempt, job)


async def test_each_try_of_a_webhook_goes_to_the_address_that_was_checked(street: Street) -> None:
    street.answers["hook.example"] = [[PUBLIC], [PUBLIC], [PRIVATE]]
    hooks = Webhooks(None, None, ServerKey(bytes(32)), allow_private=False)  # type: ignore[arg-type]
    async with hooks._client() as client:
        for attempt in (1, 2):
            told = await hooks._try(delivery(street.url("hook.example", "/hook"), attempt), client)
            assert (told.delivered, told.answer) == (True, "200")
        told = await hooks._try(delivery(street.url("hook.example", "/hook"), 3), client)
    assert (told.delivered, told.answer, told.again_at) == (False, "not a public address", None)
    assert street.public.seen == [("hook.example", "/hook")] * 2
    assert street.asked == ["hook.example"] * 3
    assert len(street.public.connections) == 2
    assert not street.private.seen


async def test_a_webhook_follows_no_redirect_to_a_name_that_turned(street: Street) -> None:
    street.answers["hook.example"] = [[PUBLIC], [PRIVATE]]
    street.public.leads = {"/hook": street.url("hook.example", "/inside")}
    hooks = Webhooks(None, None, ServerKey(bytes(32)), allow_private=False)  # type: ignore[arg-type]
    async with hooks._client() as client:
        told = await hooks._try(delivery(street.url("hook.example", "/hook")), client)
    assert (told.delivered, told.answer, told.again_at) == (False, "302", None)
    assert street.asked == ["hook.example"]
    assert not street.private.seen
