"""Clients that dawdle, over real sockets: none holds its connection for longer than the bounds."""

import asyncio
import re
from contextlib import AsyncExitStack
from dataclasses import replace

import anyio
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from .conftest import QUICK, Dial, Places, Raw

pytestmark = pytest.mark.anyio
BOTH = pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
UPGRADE = (
    b"GET /x HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def named(said: bytes, status: int) -> bool:
    """Tell whether an answer of the connection itself has a status, and a request id."""
    begins = said.startswith(b"HTTP/1.1 %d " % status)
    return begins and bool(re.search(rb"(?i)\r\nx-request-id: [0-9a-f]{32}\r\n", said))


async def dribble(raw: Raw, data: bytes = b"x") -> None:
    """Send byte after byte until the server has had enough."""
    while not raw.writer.is_closing() and not raw.reader.at_eof():
        await raw.send(data)
        await anyio.sleep(0.05)


async def cut_off(raw: Raw, data: bytes = b"x") -> bytes:
    """Dribble on until the connection is over; return what the server said."""
    task = asyncio.ensure_future(dribble(raw, data))
    try:
        return await raw.ended()
    finally:
        task.cancel()
        await asyncio.wait([task])


@BOTH
async def test_a_request_is_answered_and_the_next_one_on_the_same_connection(
    place: Places, dial: Dial, tls: bool
) -> None:
    async with place(tls=tls) as here, dial(here, tls=tls) as raw:
        for _ in range(3):
            await raw.ask("/echo", b"hello")
            assert await raw.answer() == (200, b"ok")
        assert here.bodies == [b"hello"] * 3


@BOTH
async def test_a_head_that_dribbles_in_is_answered_with_408(
    place: Places, dial: Dial, tls: bool
) -> None:
    async with place(tls=tls) as here, dial(here, tls=tls) as raw:
        await raw.send(b"GET /echo HTTP/1.1\r\nx-slow: ")
        said = await cut_off(raw)
        assert named(said, 408) and b"no whole head in 0.4 s" in said


@pytest.mark.parametrize("before", [b"", b"\r\n"], ids=["nothing", "blank lines"])
async def test_who_says_nothing_is_let_go(place: Places, dial: Dial, before: bytes) -> None:
    async with place() as here, dial(here) as raw:
        assert await (cut_off(raw, before) if before else raw.ended()) == b""


async def test_blank_lines_after_an_answer_do_not_keep_a_connection(
    place: Places, dial: Dial
) -> None:
    async with place() as here, dial(here) as raw:
        await raw.ask("/echo", b"hello")
        assert (await raw.answer())[0] == 200
        assert await cut_off(raw, b"\r\n") == b""


async def test_a_handshake_that_never_comes_is_given_up(place: Places, dial: Dial) -> None:
    async with place(tls=True) as here, dial(here) as raw:
        await raw.send(b"\x16\x03\x01")
        assert await raw.ended() == b""


async def test_a_head_without_end_is_too_large(place: Places, dial: Dial) -> None:
    async with place(replace(QUICK, head_bytes=4096)) as here, dial(here) as raw:
        await raw.send(b"GET /echo HTTP/1.1\r\n")
        await anyio.sleep(0.1)
        await raw.send(b"x-more: much more\r\n" * 300)
        assert named(await raw.ended(), 431)
        assert here.scopes == []


@BOTH
@pytest.mark.parametrize("before", [b"", b"POST /echo HTTP/1.1\r\ncontent-length: 1\r\n\r\nx"])
async def test_what_is_no_http_is_answered_with_400(
    place: Places, dial: Dial, tls: bool, before: bytes
) -> None:
    async with place(tls=tls) as here, dial(here, tls=tls) as raw:
        if before:
            await raw.send(before)
            assert (await raw.answer())[0] == 200
        await raw.send(b"NO SUCH THING\r\n\r\n")
        assert named(await raw.ended(), 400)


async def test_a_handshake_that_is_none_is_refused_under_an_id(place: Places, dial: Dial) -> None:
    async with place() as here, dial(here) as raw:
        await raw.send(UPGRADE.replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"short"))
        assert named(await raw.ended(), 400)


@pytest.mark.parametrize("pieces", [1, 64])
async def test_a_message_that_unpacks_to_too_much_is_refused_as_it_unpacks(
    place: Places, pieces: int
) -> None:
    """64 MiB of nothing are 64 kB on the wire."""
    nothing = bytes(2**26 // pieces)
    async with (
        place(replace(QUICK, silent_seconds=60)) as here,
        connect(f"ws://127.0.0.1:{here.port}/x", compression="deflate") as socket,
    ):
        assert [one.name for one in socket.protocol.extensions] == ["permessage-deflate"]
        with pytest.raises(ConnectionClosed) as caught:
            await socket.send([nothing] * pieces if pieces > 1 else nothing)
            await socket.recv()
        assert caught.value.rcvd is not None and caught.value.rcvd.code == 1009
        await here.empty()
        assert here.bodies == []


async def test_a_body_that_dribbles_in_is_answered_with_408_and_the_app_hears_of_it(
    place: Places, dial: Dial
) -> None:
    async with place() as here, dial(here) as raw:
        await raw.send(b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n")
        said = await cut_off(raw)
        assert said.startswith(b"HTTP/1.1 408 ") and b"10000 bytes a second" in said
        await here.gone.wait()


async def test_chunks_without_end_are_bounded_by_time_and_their_trailers_are_no_headers(
    place: Places, dial: Dial
) -> None:
    async with place() as here, dial(here) as raw:
        await raw.ask("/echo", headers="transfer-encoding: chunked\r\n")
        await raw.send(b"5\r\nhello\r\n0\r\nauthorization: Key mine\r\n\r\n")
        assert (await raw.answer())[0] == 200
        assert b"authorization" not in dict(here.scopes[0]["headers"])
        await raw.ask("/echo", headers="transfer-encoding: chunked\r\n")
        assert (await cut_off(raw, b"1\r\nx\r\n")).startswith(b"HTTP/1.1 408 ")


async def test_a_slow_upload_that_moves_is_taken_however_long_it_lasts(
    place: Places, dial: Dial
) -> None:
    async with place() as here, dial(here) as raw:
        await raw.send(b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n")
        for _ in range(20):  # 50 kB/s for five times as long as a stall may last
            await raw.send(bytes(5000))
            await anyio.sleep(0.1)
        assert await raw.answer() == (200, b"ok")


async def test_who_was_answered_may_not_send_the_rest_for_ever(place: Places, dial: Dial) -> None:
    async with place() as here, dial(here) as raw:
        await raw.send(b"POST /refuse HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n")
        assert (await raw.answer())[0] == 401
        assert await cut_off(raw) == b""


@pytest.mark.parametrize("path", ["/big", "/stream"])
async def test_who_never_reads_the_answer_is_cut_off(place: Places, dial: Dial, path: str) -> None:
    async with place() as here, dial(here) as raw:
        raw.writer.transport.pause_reading()
        await raw.ask(path)
        await here.empty()


async def test_who_reads_slowly_gets_all_of_it(place: Places, dial: Dial) -> None:
    async with place(replace(QUICK, idle_seconds=60)) as here, dial(here) as raw:
        await raw.ask("/big")
        await raw.reader.readuntil(b"\r\n\r\n")
        left = 32 * 2**20
        while left:
            left -= len(await raw.reader.read(2**20))
            await anyio.sleep(0.01)
        await raw.ask("/echo", b"and on")
        assert await raw.answer() == (200, b"ok")


async def test_a_pipelining_client_that_leaves_is_missed_by_what_it_asked_first(
    place: Places, dial: Dial
) -> None:
    async with place() as here, dial(here) as raw:
        await raw.ask("/wait")
        await raw.ask("/echo", b"second")
        await here.came.wait()
        raw.writer.transport.abort()
        await here.gone.wait()


async def test_a_silent_web_socket_is_closed_with_its_reason(place: Places) -> None:
    async with place() as here, connect(f"ws://127.0.0.1:{here.port}/x") as socket:
        with pytest.raises(ConnectionClosed) as caught:
            await socket.recv()
        assert caught.value.rcvd is not None
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (1001, "silent for 0.4 s")
        await here.gone.wait()


async def test_a_message_in_endless_pieces_is_too_much(place: Places, dial: Dial) -> None:
    async with place(replace(QUICK, silent_seconds=60)) as here, dial(here) as raw:
        await raw.send(UPGRADE)
        await raw.reader.readuntil(b"\r\n\r\n")
        empty = b"\x80\x00\x00\x00\x00"  # the rest of a masked frame without content
        await raw.send(b"\x01" + empty + (b"\x00" + empty) * 2000)
        assert b"too many pieces" in await raw.ended()


async def test_pings_whose_answers_nobody_reads_end_the_connection(
    place: Places, dial: Dial
) -> None:
    async with place(replace(QUICK, silent_seconds=60)) as here, dial(here) as raw:
        await raw.send(UPGRADE)
        await raw.reader.readuntil(b"\r\n\r\n")
        raw.writer.transport.pause_reading()
        ping = b"\x89\xfd" + bytes(4 + 125)
        with anyio.move_on_after(20), pytest.raises(ConnectionError):
            while True:
                await raw.send(ping * 1000)
        await here.empty()


@BOTH
async def test_beyond_the_total_the_longest_idle_makes_room_and_else_there_is_503(
    place: Places, dial: Dial, tls: bool
) -> None:
    bounds = replace(QUICK, total=2, idle_seconds=60, head_seconds=60, handshake_seconds=5)
    async with place(bounds, tls=tls) as here, AsyncExitStack() as stack:
        busy = await stack.enter_async_context(dial(here, tls=tls))
        await busy.ask("/wait")
        idle = await stack.enter_async_context(dial(here, tls=tls))
        await idle.ask("/echo", b"x")
        assert (await idle.answer())[0] == 200
        await anyio.sleep(1.1)  # what has just come is not closed for another
        third = await stack.enter_async_context(dial(here, tls=tls))
        assert await idle.ended() == b""
        await third.ask("/wait")
        if not tls:
            async with dial(here) as fourth:
                await fourth.ask("/echo", b"x")
                said = await fourth.ended()
                assert named(said, 503) and b"as many connections as it takes" in said


async def test_two_thousand_idle_connections_do_not_keep_others_out(
    place: Places, dial: Dial
) -> None:
    bounds = replace(QUICK, total=50, head_seconds=60)
    async with place(bounds) as here, AsyncExitStack() as stack:
        for _ in range(200):
            crowd = [stack.enter_async_context(dial(here)) for _ in range(10)]
            await asyncio.gather(*crowd)
        assert here.server is not None
        assert len(here.server.server_state.connections) <= 50
        await anyio.sleep(1.1)
        async with dial(here) as raw:
            await raw.ask("/echo", b"x")
            assert await raw.answer() == (200, b"ok")


async def test_a_server_leaves_as_a_web_socket_says_goodbye(place: Places, dial: Dial) -> None:
    async with place(replace(QUICK, silent_seconds=60)) as here, dial(here) as raw:
        await raw.send(UPGRADE)
        await raw.reader.readuntil(b"\r\n\r\n")
        assert here.server is not None
        (connection,) = here.server.server_state.connections
        connection.data_received(b"\x88\x80\x00\x00\x00\x00")  # the client's close
        connection.shutdown()
        assert (await raw.ended())[:1] == b"\x88"
