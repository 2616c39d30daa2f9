"""Each card of speech, music and captions, on tiny weights of its class, through the MCP door."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import numpy
import pytest
import soundfile
import yaml
from mcp import Client
from PIL import Image

from media_mcp.catalog.catalog import Catalog
from media_mcp.catalog.sources import open_index, shipped_folder
from media_mcp.server.app import open_app
from media_mcp.server.mcp import McpServer, surface_of
from media_mcp.settings import load_settings

SHORT: dict[str, dict[str, Any]] = {  # what keeps tiny models short, beside what their cards set
    "local/csm-1b": {"max_new_tokens": 10},
    "local/dia-1.6b": {"max_new_tokens": 40},
    "local/vibevoice-1.5b": {"max_new_tokens": 5, "num_diffusion_steps": 2},
}
SPEAKERS = "Speaker 0: Hi.\nSpeaker 1: Ho."
# model: what it is asked, the types of what it makes, the rate of a sound.
CASES: dict[str, tuple[dict[str, Any], tuple[str, ...], int]] = {
    "local/whisper-large-v3-turbo": (
        {"audio_url": "talk.wav", "timestamps": "word", "subtitles": "srt"},
        ("application/json", "application/x-subrip"),
        0,
    ),
    "local/vibevoice-asr": ({"audio_url": "talk.wav"}, ("application/json",), 0),
    "local/moss-transcribe-diarize": ({"audio_url": "talk.wav"}, ("application/json",), 0),
    "local/parakeet-tdt-0.6b-v3": ({"audio_url": "talk.wav"}, ("application/json",), 0),
    "local/canary-1b-v2": ({"audio_url": "talk.wav"}, ("application/json",), 0),
    "local/moonshine-base": ({"audio_url": "talk.wav"}, ("application/json",), 0),
    "local/mms-tts-eng": ({"text": "Hello there."}, ("audio/wav",), 16000),
    "local/csm-1b": ({"text": "Hello there."}, ("audio/wav",), 24000),
    "local/dia-1.6b": ({"text": "[S1] Hi. [S2] Ho."}, ("audio/wav",), 44100),
    "local/vibevoice-1.5b": (
        {"text": SPEAKERS, "voice_urls": ["talk.wav"]},
        ("audio/wav",),
        24000,
    ),
    "local/musicgen-small": ({"prompt": "house", "duration": 1}, ("audio/wav",), 16000),
    "local/smolvlm-500m": ({"image_url": "red.png", "max_tokens": 8}, ("text/plain",), 0),
    "local/blip-large": ({"image_url": "red.png"}, ("text/plain",), 0),
}
Call = Callable[..., Any]
Door = Callable[[], AbstractAsyncContextManager[Call]]


@pytest.fixture
def door(tmp_path: Path, tiny: Callable[[str], Path]) -> Door:
    """Open a server with our own cards, whose weights alone are others; yield what calls it."""
    cards = tmp_path / "cards"
    cards.mkdir()
    catalog = Catalog(index=open_index([shipped_folder()], tmp_path / "cache"))
    laid = [overlaid(catalog.get(name).routes[0].spec, name, tiny) for name in CASES]
    (cards / "tiny.yaml").write_text(yaml.safe_dump({"variants": laid}))

    @asynccontextmanager
    async def opened() -> AsyncIterator[Call]:
        settings = load_settings(
            data_dir=tmp_path / "data", catalog_dirs=[cards], device="cpu", wait=110
        )
        async with open_app(settings, [tmp_path]) as app:
            server = McpServer(surface_of(app))
            async with server.running(app), Client(server.sdk) as client:

                async def call(model: str, **arguments: Any) -> Any:
                    asked = {"model": model, "arguments": arguments, "fresh": True}
                    return (await client.call_tool("run_model", asked)).structured_content

                yield call

    return opened


def overlaid(spec: Any, name: str, tiny: Callable[[str], Path]) -> dict[str, Any]:
    own = {**spec, "weights": str(tiny(spec["class"])), "threads": 1}
    own["set"] = {**spec.get("set", {}), **SHORT.get(name, {})}
    return {"id": name, "routes": [{"backend": "local", "spec": own}]}


def placed(tmp_path: Path, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return arguments with the files in the place of their names."""

    def there(value: Any) -> Any:
        if isinstance(value, list):
            return [there(one) for one in value]
        is_file = isinstance(value, str) and value.endswith((".wav", ".png"))
        return str(tmp_path / value) if is_file else value

    return {name: there(value) for name, value in arguments.items()}


@pytest.mark.anyio
@pytest.mark.timeout(300)
async def test_each_card_makes_what_it_promises_and_the_same_again(
    door: Door, tmp_path: Path
) -> None:
    wave = 0.4 * numpy.sin(numpy.arange(24000) / 20) * numpy.sin(numpy.arange(24000) / 4000) ** 2
    soundfile.write(tmp_path / "talk.wav", wave.astype("float32"), 16000)
    Image.new("RGB", (40, 30), "red").save(tmp_path / "red.png")
    async with door() as call:
        for name, (arguments, kinds, rate) in CASES.items():
            asked = placed(tmp_path, arguments)
            seed = {"seed": 7} if rate else {}
            told = await call(name, **asked, **seed)
            assert told["state"] == "succeeded", (name, told)
            assert tuple(asset["mime_type"] for asset in told["assets"]) == kinds, name
            first = Path(told["assets"][0]["path"])
            if rate:
                sound = soundfile.info(first)
                assert (sound.samplerate, sound.channels) == (rate, 1), name
                assert abs(sound.duration - told["assets"][0]["duration"]) < 0.02, name
                again = await call(name, **asked, **seed)
                assert again["assets"][0]["uri"] == told["assets"][0]["uri"], name
            else:
                assert told["assets"][0]["bytes"] > 0, name
        bad = await call("local/moonshine-base", audio_url=str(tmp_path / "red.png"))
        assert "audio" in bad["error"]["message"], bad
