"""Every tool without weights through the MCP door: each example of each card, in a real worker."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import anyio
import av
import numpy as np
import pytest
from mcp import Client
from PIL import Image

from media_mcp.catalog.model import Example, Model
from media_mcp.server import answer
from support import Opened
from toolkit import COLOURS, make_clip, make_tone, write_wave

pytestmark = pytest.mark.anyio
AT_ONCE = 4
UNCHECKED = {"tools/make-mask", "tools/edit-mask"}  # whose outputs may well be black


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the examples of the cards name."""
    folder = tmp_path_factory.mktemp("examples")
    make_clip(folder / "clip.mp4", COLOURS * 3, each=2, fps=5, size=(352, 288))
    short = make_clip(folder / "one.mp4", each=2, fps=5)
    for name in ("two", "three", "face"):
        shutil.copy(short, folder / f"{name}.mp4")
    voice = make_tone(folder / "one.wav", 220, 1.5)
    for name in ("two", "voice", "sound"):
        shutil.copy(voice, folder / f"{name}.wav")
    pause = np.concatenate([np.sin(np.arange(24000) / 9) / 3, np.zeros(48000)])
    write_wave(folder / "voice.wav", np.concatenate([pause, pause]).astype(np.float32))
    for name in ("song", "music"):
        _make_mp3(folder / f"{name}.mp3")
    _make_pictures(folder)
    speech = ["flite", "-t", "hello world", "-o", str(folder / "speech.wav")]
    if shutil.which("flite"):
        subprocess.run(speech, check=True)
    srt = "1\n00:00:00,500 --> 00:00:02,000\nHello\n"
    (folder / "words.srt").write_text(srt)
    return folder


def _make_mp3(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libmp3lame", rate=48000)
        samples = (np.sin(np.arange(48000) / 12) / 4).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(samples[None], "fltp", "mono")
        frame.sample_rate, frame.pts = 48000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _make_pictures(folder: Path) -> None:
    picture = Image.effect_mandelbrot((200, 160), (-2, -1, 1, 1), 60).convert("RGB")
    for name in ("photo.jpg", "drawing.png", "one.png", "two.png", "three.png", "small.jpg"):
        picture.save(folder / name)
        picture = picture.rotate(45)
    Image.new("RGBA", (40, 20), (255, 0, 0, 128)).save(folder / "logo.png")
    still = Image.open(folder / "small.jpg")
    frames = [still.rotate(30 * n) for n in range(4)]
    frames[0].save(folder / "animation.gif", save_all=True, append_images=frames[1:], duration=200)
    mask = Image.new("L", (64, 64), 0)
    mask.paste(255, (16, 16, 48, 48))
    mask.save(folder / "mask.png")


def examples(models: list[Model]) -> Iterator[tuple[Model, Example]]:
    for model in models:
        if model.routes[0].backend == "tools":
            needs = model.routes[0].spec.get("needs", {}).get("program")
            if model.id == "tools/transcribe":  # its example is spoken by flite
                needs = "flite"
            if not needs or shutil.which(needs):
                yield from ((model, example) for example in model.examples)


def with_paths(folder: Path, value: Any) -> Any:
    """Put the path of a file in the place of its name."""
    if isinstance(value, Mapping):
        return {key: with_paths(folder, item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [with_paths(folder, item) for item in value]
    path = folder / value if isinstance(value, str) and len(value) < 20 else None
    return str(path) if path and path.is_file() else value


async def test_every_example_of_every_tool_is_done_by_a_real_worker(
    opened: Opened, media: Path
) -> None:
    faults: dict[str, Any] = {}
    done: set[str] = set()
    async with opened(roots=[media], wait=100) as (app, server), Client(server.sdk) as client:
        limiter = anyio.CapacityLimiter(AT_ONCE)

        async def use(model: Model, example: Example) -> None:
            async with limiter:
                arguments = with_paths(media, example.arguments)
                run = {"model": model.id, "arguments": arguments}
                result = await client.call_tool("run_model", run)
            done.add(model.id)
            if said := fault_of(model, example, result):
                faults[f"{model.id}: {example.title}"] = said

        async with anyio.create_task_group() as group:
            for model, example in examples(list(app.catalog)):
                group.start_soon(use, model, example)
    assert faults == {}
    assert len(done) >= 40


def fault_of(model: Model, example: Example, result: Any) -> Any:
    """Return what is wrong with an answer, if something is."""
    facts = result.structured_content
    if facts.get("state") != "succeeded":
        return facts
    if facts.get("findings") and model.id not in UNCHECKED:
        return facts["findings"]
    if answer.tokens(facts) > answer.MAX_TOKENS:
        return f"{answer.tokens(facts)} tokens"
    mimes = {asset["mime_type"] for asset in facts["assets"]}
    wanted = example.arguments.get("output_format")
    if wanted and not any(wanted in mime or mime in MIMES[wanted] for mime in mimes):
        return f"{wanted} was asked for, not {mimes}"
    shown = any(block.type == "image" for block in result.content)
    seen = model.outputs[0].kind in ("image", "video", "audio") and "image/svg+xml" not in mimes
    return None if shown or not seen else "there is no preview"


MIMES = {"mp3": ("audio/mpeg",), "m4a": ("audio/mp4",), "opus": ("audio/ogg",)}
