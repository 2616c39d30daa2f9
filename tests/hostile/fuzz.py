"""Fuzzes the front doors of decoders and parsers: `fuzz.py [SECONDS [FOLDER]]`, or `make fuzz`.

Each target takes what hypothesis draws and must end well or in its own error. What does neither is
a finding: it is printed with its seed, kept in FOLDER, and the exit code is 1.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import hypothesis
from fuzzwire import Wire
from hypothesis import strategies as st
from seeds import NAMES, seed

from media_mcp.catalog.cards import load_card
from media_mcp.catalog.catalog import Catalog
from media_mcp.catalog.validate import complete
from media_mcp.errors import BadCard, BadInput, BadMedia, InvalidArguments, Refused
from media_mcp.media import Inputs, MediaStore
from media_mcp.media.decoding.pool import Decoders, Died, end_all, parsed
from media_mcp.media.names import name_for, redact, shown
from media_mcp.media.sniff import sniff, sniff_file
from media_mcp.server.queue_api.files import asset_of
from media_mcp.server.queue_api.storage import _tags
from media_mcp.server.queue_api.target import target_of
from media_mcp.worker.headers import header_of
from media_mcp.worker.protocol import Lines, ProtocolError, from_worker, to_worker

EXAMPLES = 50  # of one target in a row
CARD = """\
id: x/y
title: X
task: text-to-image
licence: MIT
description: Draws.
inputs:
  prompt: {type: string, required: true, description: What to draw.}
outputs:
  images: {kind: image, mime_type: image/png}
routes:
  - {backend: rehearsal, price: {amount: 0, unit: call}}
"""
LINES = (
    b'{"type":"done","job_id":"j","outputs":[{"path":"x","role":"r","mime_type":"m"}],"facts":{}}',
    b'{"type":"beat","rss":1,"resident":["m"]}',
    b'{"type":"found","facts":{"kind":"image","mime_type":"image/png","extension":"png"}}',
    b'{"type":"refusal","message":"m","hint":"h"}',
    b'{"parts":[{"partNumber":1,"etag":"a"}]}',
)
URLS = (
    b"http://example.org/a/b.png?x=1#y",
    b"https://user:pass@[::1]:8443/x",
    b"data:image/png;base64,iVBORw0KGgo=",
    b"file:///etc/x.png",
    b"media://" + b"a" * 64 + b".png",
    b"/queue/fal-ai/flux/dev/requests/1/status?logs=1",
)
LENGTHS = (b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff")
Json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=20,
)
Target = Callable[[Any], None]


@st.composite
def near(draw: st.DrawFn, known: Sequence[bytes]) -> bytes:
    """Draw something known with bytes changed, put in, taken out, cut or doubled."""
    data = bytearray(draw(st.sampled_from(known)))
    for _ in range(draw(st.integers(0, 8))):
        at = draw(st.integers(0, len(data)))
        match draw(st.integers(0, 4)):
            case 0:
                data[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case 1:
                data[at:at] = draw(st.binary(max_size=12))
            case 2:
                del data[at : at + draw(st.integers(1, 40))]
            case 3:
                data[at : at + 4] = draw(
                    st.sampled_from([b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff"])
                )
            case _:
                data[at:at] = data[at : at + draw(st.integers(1, 64))]
    return bytes(data)


async def numbers_only(host: str, port: int) -> list[str]:
    """Look nothing up: every name is unknown, and numbers are what they say."""
    found = socket.getaddrinfo(host, port, flags=socket.AI_NUMERICHOST)
    return [str(entry[4][0]) for entry in found]


class Doors:
    """What is fuzzed, in a folder of its own; everything is read on one event loop."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "x"
        self.card = folder / "x.yaml"
        self.loop = asyncio.new_event_loop()
        self.decoders = Decoders()
        store = MediaStore(folder / "store", self.decoders)
        self.inputs = Inputs(
            store, roots=[], max_bytes=10**6, allow_private=False, resolver=numbers_only
        )
        self.model = Catalog.load([]).get("sketch")
        self.wire = Wire(folder, self.loop)

    def close(self) -> None:
        self.wire.close()
        end_all()
        self.loop.close()

    def bytes_of_media(self, data: bytes) -> None:
        sniff(data[:4096])
        sniff_file(data[:4096])
        self.file.write_bytes(data)
        try:
            self.loop.run_until_complete(self.decoders.read(self.file, look=True))
        except BadMedia as error:
            if "decoding it" in error.message:  # the process is gone: harmless, and worth mending
                raise AssertionError(error.message) from None

    def weights(self, data: bytes) -> None:
        self.file.write_bytes(data)
        with suppress(ValueError):
            header_of(self.file)

    def addresses(self, data: bytes) -> None:
        text = data.decode("utf-8", "surrogateescape")
        assert redact(text).isprintable()
        assert shown(text).isprintable()
        assert name_for(text)
        asset_of(text, "http://127.0.0.1")
        with suppress(BadInput, Refused):
            self.loop.run_until_complete(self.inputs.resolve(text, kind=None))

    def targets(self, data: bytes) -> None:
        path = data.decode("latin-1")
        for headers in ({}, {b"host": data}, {b"x-fal-target-url": data}):
            with suppress(BadInput):
                target_of("http", f"/{path}", "", headers, calls=bool(data))

    def cards(self, data: bytes) -> None:
        self.card.write_bytes(data)
        with suppress(BadCard):
            load_card(self.card)

    def lines(self, data: bytes) -> None:
        for read in (from_worker, to_worker, parsed):
            with suppress(ProtocolError, Died):
                read(data)
        assert b"".join(Lines().feed(data + b"\n")) == data.replace(b"\n", b"")

    def parts(self, listed: Any) -> None:
        with suppress(BadInput):
            _tags(listed)

    def arguments(self, given: Mapping[str, Any]) -> None:
        with suppress(InvalidArguments):
            json.dumps(complete(self.model, {"prompt": "x", **given}), allow_nan=False)

    def targets_and_what_is_drawn(self, folder: Path) -> dict[Target, st.SearchStrategy[Any]]:
        media = [seed(name, folder) for name in NAMES]
        tensors = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
        safetensors = len(tensors).to_bytes(8, "little") + tensors + bytes(4)
        names = st.sampled_from([param.name for param in self.model.inputs]) | st.text(max_size=9)
        return {
            self.bytes_of_media: near(media) | st.binary(max_size=400),
            self.weights: near([safetensors]),
            self.addresses: near(URLS) | st.binary(max_size=80),
            self.targets: near(URLS) | st.binary(max_size=80),
            self.cards: near([CARD.encode()]),
            self.lines: near(LINES) | st.binary(max_size=80),
            self.parts: Json | st.fixed_dictionaries({"parts": st.lists(Json, max_size=5)}),
            self.arguments: st.dictionaries(names, Json, max_size=5),
            **self.wire.targets_and_what_is_drawn(near),
        }


def trial(target: Target, drawn: st.SearchStrategy[Any], number: int, held: list[Any]) -> None:
    """Try `EXAMPLES` inputs drawn by the seed `number`; what fails is `held`, made small."""

    @hypothesis.seed(number)
    @hypothesis.settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(drawn)
    def one(given: Any) -> None:
        held[:] = [given]
        target(given)

    one()


def kept(folder: Path, name: str, number: int, given: Any) -> Path:
    """Keep a finding as a file, and return where."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{number}"
    path.write_bytes(given if isinstance(given, bytes) else repr(given).encode(errors="replace"))
    return path


def fuzz(seconds: float, findings: Path, first: int) -> int:
    """Fuzz every target in turn until the time is over; return how many findings there were."""
    over, number, found = time.monotonic() + seconds, first, 0
    with tempfile.TemporaryDirectory() as place:
        doors = Doors(Path(place))
        targets = doors.targets_and_what_is_drawn(Path(place))
        try:
            while time.monotonic() < over or number == first:
                for target, drawn in targets.items():
                    held: list[Any] = []
                    try:
                        trial(target, drawn, number, held)
                    except Exception as error:
                        found += 1
                        path = kept(findings, target.__name__, number, held[0])
                        print(f"{target.__name__}, seed {number}: {error!r:.300} -> {path}")
                number += 1
        finally:
            doors.close()
    print(
        f"{(number - first) * EXAMPLES} inputs to each of {len(targets)} targets, {found} findings"
    )
    return found


def main() -> int:
    logging.disable()
    seconds = float(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("FUZZ_SECONDS", 600))
    findings = Path(sys.argv[2] if len(sys.argv) > 2 else ".fuzz")
    first = int(os.environ.get("FUZZ_SEED", secrets.randbelow(10**6)))
    print(f"Fuzzing for {seconds:g} s from FUZZ_SEED={first}", flush=True)
    return 1 if fuzz(seconds, findings, first) else 0


if __name__ == "__main__":
    sys.exit(main())
