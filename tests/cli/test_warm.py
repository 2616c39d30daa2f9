"""`media-mcp warm`, and models that are loaded when a server starts."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from media_mcp.running import SERVER, WORKER, Board


@pytest.fixture
def board(place: Path) -> Board:
    return Board(place / "data")


def until(ready: Callable[[], object], process) -> object:
    """Wait for what another process brings about, as long as it lives."""
    while not (found := ready()):
        assert process.poll() is None
        time.sleep(0.02)
    return found


def test_a_running_server_loads_a_model_and_the_doctor_sees_it(
    cli, child, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDIA_MCP_API_KEY", "warm-key")
    server = child("serve", "--http", "127.0.0.1:0", "--device", "cpu")
    server.line_of_stderr("listens on")
    until(lambda: board.read(SERVER), server.process)

    ended = cli("warm", "sketch", "--pin", "--keep", "600")
    assert ended.code == 0, ended.err
    assert ended.out.startswith("sketch is loaded in ") and "(19.5 MB, local, cpu)" in ended.out
    again = cli("warm", "sketch", "--json").json
    assert (again["model"], again["load_seconds"], again["evicted"]) == ("sketch", 0, 0)

    told = {one["name"]: one["words"] for one in cli("doctor", "--json", "--device", "cpu").json}
    assert told["loaded"].startswith("cpu (process ")
    assert "sketch 19.5 MB, pinned" in told["loaded"]

    for words, code, said in (
        (("no-such-model",), 2, "no-such-model"),
        (("rehearsal/image",), 3, "rehearsal/image cannot be loaded: it has no weights to load"),
        (("flux_dev",), 3, "Run: media-mcp pull fal-ai/flux/dev"),
    ):
        ended = cli("warm", *words)
        assert (ended.code, said in ended.err) == (code, True), ended.err
    monkeypatch.setenv("MEDIA_MCP_API_KEY", "another")
    ended = cli("warm", "sketch")
    assert (ended.code, "asks for a key" in ended.err) == (3, True)

    server.end(2)
    assert board.read(SERVER) == board.read(WORKER) == []


def test_a_server_over_stdio_loads_what_the_settings_name(
    child, board: Board, place: Path, cli
) -> None:
    (place / "media-mcp.toml").write_text('warm = ["nothing", "sketch"]\npin = ["sketch"]\n')
    server = child("serve", "--device", "cpu")

    def held() -> list:
        return [one for told in board.read(WORKER) for one in told["held"]]

    until(held, server.process)
    (sketch,) = held()
    assert (sketch["models"], sketch["pinned"], sketch["place"]) == (["sketch"], True, "device")
    server.process.stdin.close()
    assert server.end().code == 0


def test_without_a_server_it_says_how_to_have_one(cli, board: Board) -> None:
    ended = cli("warm", "sketch")
    assert ended.code == 3
    assert "No server listens on this data folder" in ended.err
    assert "warm = [...]" in ended.err
    ended = cli("warm", "sketch", "--server", "http://127.0.0.1:9")
    assert (ended.code, "cannot be asked" in ended.err) == (3, True)


def test_notices_of_processes_that_are_gone_are_cleared_away(board: Board, place: Path) -> None:
    board.put(SERVER, 2**22 + 1, {"url": "http://127.0.0.1:9", "started": 0})
    (place / "data" / "running" / "server-1.json").write_text("{")
    assert board.read(SERVER) == []
    assert not list((place / "data" / "running").iterdir())
