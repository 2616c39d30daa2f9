"""What server and worker say to each other, and what becomes of anything else."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from media_mcp.worker import protocol
from media_mcp.worker.protocol import (
    MAX_LINE,
    Beat,
    Cancel,
    Done,
    Failed,
    Hello,
    Lines,
    Log,
    Made,
    Progress,
    ProtocolError,
    Run,
    Shutdown,
)

RUN = Run(
    job_id="a",
    attempt=1,
    model="m",
    pipeline="diffusers",
    spec={"set": {"height": 64}},
    arguments={"prompt": "é\n"},
    call={"prompt": "é\n", "height": 64},
    seed=7,
    folder="/tmp",
    roles=("images",),
    inputs={"media://a": "/a"},
)
COMMANDS = [RUN, Cancel("a"), Shutdown()]
EVENTS = [
    Hello(1, 42, "3.11", {"torch": "2.13"}, "cpu", 10**10),
    Beat(10**9, ("sketch",)),
    Progress("a", 1, 20),
    Log("a", "loading"),
    Done("a", (Made("images-0.png", "images", "image/png"),), {"seed": 7, "nested": [1, {"x": 2}]}),
    Failed("a", "out_of_memory", "Full.", "Free some.", True),
]


def name(message: object) -> str:
    return type(message).__name__


@pytest.mark.parametrize("message", COMMANDS, ids=name)
def test_what_the_server_says_arrives_at_the_worker(message: Any) -> None:
    line = protocol.encode(message)
    assert line.count(b"\n") == 1
    assert protocol.to_worker(line) == message


@pytest.mark.parametrize("message", EVENTS, ids=name)
def test_what_the_worker_says_arrives_at_the_server(message: Any) -> None:
    assert protocol.from_worker(protocol.encode(message)) == message


@pytest.mark.parametrize("message", EVENTS, ids=name)
def test_the_worker_obeys_no_words_of_its_own_kind(message: Any) -> None:
    with pytest.raises(ProtocolError, match="unknown type"):
        protocol.to_worker(protocol.encode(message))


def test_fields_that_may_be_left_out_have_their_defaults() -> None:
    line = b'{"type":"failed","job_id":"a","code":"x","message":"y","new_field":1}'
    assert protocol.from_worker(line) == Failed("a", "x", "y", "", False)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b"{}", "unknown type 'None'"),
        (b'{"type":["run"]}', "unknown type"),
        (b'{"type":"rm"}', "unknown type 'rm'"),
        (b'{"type":"progress"}', "Progress is not whole"),
        (b'{"type":"progress","job_id":1,"step":1,"total":2}', "Progress.job_id is no str"),
        (b'{"type":"progress","job_id":"a","step":true,"total":2}', "Progress.step is no int"),
        (b'{"type":"progress","job_id":"a","step":1.0,"total":2}', "Progress.step is no int"),
        (b'{"type":"beat","rss":1,"resident":"all"}', "Beat.resident is no list"),
        (b'{"type":"beat","rss":1,"resident":[1]}', "Beat.resident is no str"),
        (b'{"type":"done","job_id":"a","outputs":[1],"facts":{}}', "Done.outputs is no dict"),
        (b'{"type":"done","job_id":"a","outputs":[{}],"facts":{}}', "Made is not whole"),
        (b'{"type":"done","job_id":"a","outputs":[],"facts":[]}', "Done.facts is no dict"),
        (b" " * (MAX_LINE + 1), "more than 1048576 bytes"),
    ],
)
def test_a_line_that_is_no_message_is_refused_with_the_reason(line: bytes, reason: str) -> None:
    with pytest.raises(ProtocolError, match=reason.replace(".", r"\.")):
        protocol.from_worker(line)


@pytest.mark.parametrize("value", [float("nan"), object(), b"bytes"])
def test_what_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(ProtocolError, match="Done cannot be written"):
        protocol.encode(Done("a", (), {"x": value}))


def test_a_message_too_long_for_a_line_is_refused() -> None:
    with pytest.raises(ProtocolError, match=r"A log has \d+ bytes of at most 1048576"):
        protocol.encode(Log("a", "x" * MAX_LINE))


def test_lines_come_out_whole_however_they_arrive() -> None:
    sent = b"".join(protocol.encode(message) for message in EVENTS)
    for size in (1, 7, 1000, len(sent)):
        lines = Lines()
        parts = [sent[i : i + size] for i in range(0, len(sent), size)]
        found = [line for part in parts for line in lines.feed(part)]
        assert [protocol.from_worker(line) for line in found] == EVENTS


def test_an_endless_line_takes_no_more_memory_than_a_line_may() -> None:
    lines = Lines()
    for _ in range(40):
        assert list(lines.feed(b"x" * 65_536)) == []
    found = list(lines.feed(b"\n" + protocol.encode(Shutdown())))
    assert [len(line) for line in found] == [MAX_LINE + 1, len(protocol.encode(Shutdown())) - 1]


def mutated(line: bytes, dice: random.Random) -> bytes:
    data = bytearray(line)
    for _ in range(dice.randint(1, 8)):
        place = dice.randrange(len(data))
        match dice.randrange(3):
            case 0:
                data[place] = dice.randrange(256)
            case 1:
                del data[place : place + dice.randint(1, 20)]
            case 2:
                data[place:place] = bytes(dice.choices(b'{}[]",:0123456789truefalsn\\', k=5))
        data = data or bytearray(b"{")
    return bytes(data)


def swapped(line: bytes, dice: random.Random) -> bytes:
    told = json.loads(line)
    key = dice.choice(list(told))
    told[key] = dice.choice([None, True, 0, -1, 1e300, "", "x" * 50, [], [[]], {}, {"a": {}}])
    return json.dumps(told).encode()


def test_no_line_whatever_crashes_a_reader() -> None:
    dice = random.Random(20261122)
    seeds = [protocol.encode(message) for message in (*COMMANDS, *EVENTS)]
    refused = 0
    for _ in range(4000):
        line = dice.choice([mutated, swapped])(dice.choice(seeds), dice)
        for read in (protocol.to_worker, protocol.from_worker):
            try:
                read(line)
            except ProtocolError as error:
                refused += 1
                assert len(str(error)) < 300
    assert refused > 4000
