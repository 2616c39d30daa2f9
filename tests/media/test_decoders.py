"""The processes that decode: what they may do, and that nobody misses one that dies."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from media_mcp.errors import BadMedia, NotConfigured
from media_mcp.job import MediaKind
from media_mcp.media import MediaStore
from media_mcp.media.decoding import pool
from media_mcp.media.decoding.__main__ import serve
from media_mcp.media.decoding.pool import Decoder, Decoders, environment
from media_mcp.media.decoding.protocol import Draw, Read, Sight, encode_ask

Make = Callable[..., Path]
pytestmark = pytest.mark.anyio
GREET = 'import sys; print(\'{"type": "ready"}\', flush=True); sys.stdin.readline(); '
ODD = "import media_mcp.media.decoding.probing as p\nfrom pathlib import Path\n"
ODD_END = "from media_mcp.media.decoding.__main__ import main; main()"


def program(code: str) -> tuple[str, ...]:
    return (sys.executable, "-P", "-c", code)


def reading(what: str) -> tuple[str, ...]:
    """The real decoder, but for what it does with a file."""
    body = "".join(f"    {line}\n" for line in what.splitlines())
    return program(
        f"{ODD}def probe_file(path, claimed):\n{body}p.probe_file = probe_file\n{ODD_END}"
    )


@asynccontextmanager
async def decoders(command: tuple[str, ...], seconds: float = 60.0) -> AsyncIterator[Decoders]:
    yield Decoders(seconds=seconds, command=command)
    for decoder in pool._idle.pop(command, ()):
        decoder.end()


async def refusal(command: tuple[str, ...], path: Path, seconds: float = 60.0) -> str:
    async with decoders(command, seconds) as asked:
        with pytest.raises(BadMedia) as caught:
            await asked.read(path)
    assert caught.value.hint
    return caught.value.message


async def test_a_decoder_tells_what_a_file_is_and_stays(picture: Make, sound: Make) -> None:
    asked = Decoders()
    seen = await asked.read(picture())
    assert (seen.facts.kind, seen.facts.width, seen.flaws) == (MediaKind.IMAGE, 64, ())
    before = [decoder._process.pid for decoder in pool._idle[pool.COMMAND]]
    seen = await asked.read(sound(loud=0.0), look=True)
    assert [flaw.code for flaw in seen.flaws] == ["silent"]
    assert [decoder._process.pid for decoder in pool._idle[pool.COMMAND]] == before


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
            "crashed the decoder (SIGSEGV)",
        ),
        ("import os; os.kill(os.getpid(), 40)", "crashed the decoder ("),
        ("import os; os._exit(3)", "ended the decoder"),
        ("import os; os.kill(os.getpid(), 9)", "short of memory"),
        ('print(\'{"type": "found", "facts": 7}\')', "made the decoder talk nonsense"),
        ("print('x' * 2**21)", "answered more than it may"),
        ("print('[' * 100_000)", "made the decoder talk nonsense"),
    ],
)
async def test_a_decoder_that_dies_costs_one_file(picture: Make, code: str, words: str) -> None:
    said = await refusal(program(GREET + code), picture())
    assert said.startswith("The file cannot be read: decoding it ")
    assert words in said


async def test_a_decoder_that_hangs_is_ended(picture: Make) -> None:
    said = await refusal(program(GREET + "import time; time.sleep(600)"), picture(), seconds=0.2)
    assert said == "The file cannot be read: decoding it took longer than 0.2 s."


async def test_a_decoder_that_greets_with_something_else_is_none(picture: Make) -> None:
    code = 'print(\'{"type": "drawn", "jpeg": null}\', flush=True); input()'
    assert "said something else" in await refusal(program(code), picture())


@pytest.mark.parametrize(
    "facts",
    [
        {"kind": "image", "mime_type": "image/png", "extension": "../../etc/passwd"},
        {"kind": "image", "mime_type": "image/png\r\nSet-Cookie: x", "extension": "png"},
    ],
)
async def test_facts_that_could_not_be_are_not_believed(picture: Make, facts: object) -> None:
    told = json.dumps({"type": "found", "facts": facts})
    assert "made no sense" in await refusal(program(f"{GREET}print({told!r})"), picture())


async def test_too_much_memory_is_refused(picture: Make) -> None:
    hungry = reading("return [bytearray(2**28) for _ in range(64)]")
    said = await refusal(hungry, picture())
    assert said == "The file needs more memory to be decoded than 3 GiB."


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
async def test_a_decoder_may_not_do_what_it_need_not(picture: Make, tmp_path: Path) -> None:
    """It may not write, open many files, nor compute for ever; and it knows no secret."""
    spying = reading(
        "import json, resource, os\n"
        "told = {name: resource.getrlimit(getattr(resource, f'RLIMIT_{name}'))[0]\n"
        "        for name in ('AS', 'FSIZE', 'NOFILE', 'CORE', 'CPU')}\n"
        "try:\n"
        f"    Path({str(tmp_path / 'written')!r}).write_text('x')\n"
        "except OSError as error:\n"
        "    told['write'] = error.strerror\n"
        "told['env'] = sorted(os.environ)\n"
        "from media_mcp.errors import BadMedia\n"
        "raise BadMedia(json.dumps(told), 'hint')"
    )
    told = json.loads(await refusal(spying, picture()))
    assert (told["AS"], told["FSIZE"], told["NOFILE"], told["CORE"]) == (3 * 2**30, 0, 64, 0)
    assert 75 <= told["CPU"] < 200
    assert told["write"] == "File too large"
    assert not (tmp_path / "written").exists() or not (tmp_path / "written").read_text()
    assert not any("KEY" in name or "TOKEN" in name or name == "HOME" for name in told["env"])


async def test_what_would_compute_for_ever_is_ended(picture: Make) -> None:
    code = (
        "import media_mcp.media.decoding.limits as limits\n"
        "limits.PROCESSOR = 1\n"
        "import media_mcp.media.decoding.probing as p\n"
        "def probe_file(path, claimed):\n"
        "    while True: pass\n"
        "p.probe_file = probe_file\n" + ODD_END
    )
    said = await refusal(program(code), picture())
    assert said == "The file cannot be read: decoding it took too much of the processor's time."


async def test_a_surprise_in_a_decoder_is_a_refusal_and_the_decoder_lives(
    picture: Make, caplog: pytest.LogCaptureFixture
) -> None:
    async with decoders(reading("raise KeyError('surprise')")) as asked:
        for _ in range(2):
            with pytest.raises(BadMedia, match="its data are damaged"):
                await asked.read(picture())
        (kept,) = pool._idle[asked._command]
        assert kept.uses == 2
    assert "did not foresee: KeyError in <string>:4" in caplog.text


async def test_a_file_that_is_gone_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadMedia, match="cannot be opened: no such file"):
        await Decoders().read(tmp_path / "gone.png")


async def test_one_that_died_while_it_waited_is_replaced(picture: Make) -> None:
    await Decoders().read(picture())
    for decoder in pool._idle[pool.COMMAND]:
        decoder._process.kill()
        decoder._process.wait()
    assert (await Decoders().read(picture())).facts.width == 64


async def test_a_decoder_makes_room_for_another_in_time(
    picture: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "USES", 1)
    pool.end_all()
    await Decoders().read(picture())
    assert not pool._idle[pool.COMMAND]


async def test_who_gives_up_ends_the_decoder(picture: Make) -> None:
    async with decoders(program(GREET + "import time; time.sleep(600)")) as asked:
        with anyio.move_on_after(0.5) as scope:
            await asked.read(picture())
        assert scope.cancelled_caught
        assert not pool._idle[asked._command]


async def test_many_files_share_two_decoders(picture: Make) -> None:
    asked, paths = Decoders(), [picture(f"{i}.png") for i in range(8)]
    pool.end_all()
    async with anyio.create_task_group() as group:
        for path in paths:
            group.start_soon(asked.read, path)
    assert 1 <= len(pool._idle[pool.COMMAND]) <= 2


async def test_a_decoder_can_be_started_before_it_is_needed(picture: Make) -> None:
    pool.end_all()
    asked = Decoders()
    await asked.warm()
    await asked.warm()
    assert len(pool._idle[pool.COMMAND]) == 1
    assert (await asked.read(picture())).facts.width == 64


async def test_a_python_that_does_not_start_is_said(picture: Make) -> None:
    with pytest.raises(NotConfigured, match="cannot be started: No such file"):
        await Decoders(command=("/nowhere/python",)).read(picture())
    await Decoders(command=("/nowhere/python",)).warm()


async def test_a_drawing_that_kills_is_no_drawing(tmp_path: Path, picture: Make) -> None:
    async with decoders(program(GREET + "import os; os._exit(1)")) as asked:
        store = MediaStore(tmp_path / "store")
        asset = await store.put(picture(), role="x", name="x", provenance={})
        assert await asked.draw([asset]) is None
    async with decoders(program(GREET + 'print(\'{"type":"drawn","jpeg":"%"}\')')) as asked:
        assert await asked.draw([asset]) is None


def test_secrets_are_not_handed_on() -> None:
    ours = {"FAL_KEY": "x", "HOME": "/h", "PATH": "/bin", "LC_ALL": "C", "MEDIA_MCP_API_KEY": "x"}
    assert environment(ours) == {"PATH": "/bin", "LC_ALL": "C", "MALLOC_ARENA_MAX": "2"}


def test_the_decoders_own_loop_answers_until_nobody_asks(picture: Make, tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    path, granted = str(picture()), []
    sight = Sight(path, MediaKind.IMAGE, 64, 48)
    with ours, theirs, theirs.makefile("rb") as questions, theirs.makefile("wb") as answers:
        for ask in (Read(path, None, True), Draw((sight,)), Draw(()), Read(str(tmp_path / "no"))):
            ours.sendall(encode_ask(ask))
        ours.shutdown(socket.SHUT_WR)
        serve(questions, answers, lambda: granted.append(True))
        theirs.shutdown(socket.SHUT_WR)
        with ours.makefile("rb") as said:
            told = [json.loads(line) for line in said]
    assert [answer["type"] for answer in told] == ["ready", "found", "drawn", "drawn", "refusal"]
    assert told[2]["jpeg"]
    assert told[3]["jpeg"] is None
    assert len(granted) == 4


def test_ended_decoders_leave_no_process_behind() -> None:
    decoder = Decoder()
    pid = decoder._process.pid
    decoder.end()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
