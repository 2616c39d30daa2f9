"""What it costs a job that its output is opened in another process, beside a thread of the server.

Takes in, looks into, keeps and previews pictures as a job does, both ways in turn, and prints the
medians and what they are of a picture that takes 0.16 s to make.

    python benchmarks/decoding.py [--rounds 60] [--side 512]
"""

from __future__ import annotations

import argparse
import base64
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import anyio
from anyio import to_thread
from PIL import Image

from media_mcp.job import Asset
from media_mcp.media import MediaStore
from media_mcp.media.decoding.__main__ import reply
from media_mcp.media.decoding.pool import Decoders
from media_mcp.media.decoding.protocol import Ask, Draw, Drawn, Found, Read, Sight
from media_mcp.media.facts import Seen

BARE = 0.16  # seconds that `sketch` takes for a picture in a warm worker


class InThread(Decoders):
    """Does in a thread of this process what decoders do in theirs."""

    async def warm(self) -> None:
        """There is nothing to start."""

    async def read(
        self, path: Path, claimed: str | None = None, *, look: bool = False, draw: bool = False
    ) -> Seen:
        answer = await to_thread.run_sync(reply, Read(str(path), claimed, look, draw))
        assert isinstance(answer, Found)
        jpeg = base64.b64decode(answer.jpeg) if answer.jpeg else None
        return Seen(answer.facts, answer.flaws, jpeg)

    async def draw(self, assets: Sequence[Asset]) -> bytes | None:
        sights = tuple(Sight(str(a.path), a.kind, a.width, a.height, a.duration) for a in assets)
        ask: Ask = Draw(sights)
        answer = await to_thread.run_sync(reply, ask)
        assert isinstance(answer, Drawn)
        return base64.b64decode(answer.jpeg) if answer.jpeg else None


async def once(store: MediaStore, path: Path) -> tuple[float, float]:
    """Return the seconds until a picture is kept, and until it has its preview."""
    started = time.perf_counter()
    draft = await store.draft(path, "image/png")
    asset = await store.keep(draft, role="images", name="x", provenance={})
    kept = time.perf_counter()
    await store.preview([asset])
    return kept - started, time.perf_counter() - kept


def paint(path: Path, side: int) -> Path:
    """Write a picture that was never there before."""
    noise = Image.frombytes("RGB", (32, 32), os.urandom(32 * 32 * 3))
    noise.resize((side, side), Image.Resampling.BILINEAR).save(path, compress_level=1)
    return path


async def main(rounds: int, side: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        ways = {
            "in a thread": MediaStore(here / "thread", InThread()),
            "in a process": MediaStore(here / "process"),
        }
        took: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for number in range(rounds + 3):
            for name, store in ways.items():
                seconds = await once(store, paint(here / "x.png", side))
                if number >= 3:  # imports, and the start of the process
                    took[name].append(seconds)
    kept = {name: statistics.median(s for s, _ in all_of) for name, all_of in took.items()}
    seen = {name: statistics.median(s for _, s in all_of) for name, all_of in took.items()}
    print(f"{rounds} pictures of {side}x{side}, medians:")
    for name in ways:
        print(f"  {name:13} kept {kept[name] * 1e3:6.2f} ms, preview {seen[name] * 1e3:6.2f} ms")
    more = kept["in a process"] - kept["in a thread"]
    print(f"  the process costs {more * 1e3:+.2f} ms: {more / BARE:+.2%} of a {BARE} s picture")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--side", type=int, default=512)
    given = parser.parse_args()
    anyio.run(main, given.rounds, given.side)
