"""Writing sound: block after block, in the format that is wished."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from media_mcp.errors import BadOutput
from media_mcp.worker import encode
from media_mcp.worker.pipelines.tools.faults import check_length
from media_mcp.worker.pipelines.tools.film import tell
from media_mcp.worker.pipelines.tools.tracks_io import LAYOUTS, audio_frame, regular
from media_mcp.worker.protocol import Made
from media_mcp.worker.work import Product, Work


def finish_sound(
    work: Work,
    blocks: Iterable[Any],
    rate: int,
    channels: int,
    seconds: float,
    *,
    usual: str = "wav",
    **facts: Any,
) -> Product:
    """Write sound of about `seconds` and say what it is. Raises `BadOutput` for no sample."""
    check_length(seconds)
    wish = encode.wished(work, encode.SOUNDS, usual)
    made = _write(work, blocks, rate, channels, round(seconds * rate), wish)
    told = {"rate": rate, "channels": channels}
    return Product((made,), told | facts)


def _write(
    work: Work, blocks: Iterable[Any], rate: int, channels: int, expected: int, wish: encode.Wish
) -> Made:
    made = encode.place_for(work, None, 0, wish.format)
    path, done = work.folder / made.path, 0
    total = max(1, -(-expected // rate))  # one step a second
    with _writer(path, rate, channels, wish) as write:
        for block in regular(blocks, rate):
            write(block, done)
            done += block.shape[1]
            tell(work, min(total, -(-done // rate)), total)
    if not done:
        raise BadOutput("There was no sound to write.", "Take another piece of it.")
    return made


def _writer(path: Path, rate: int, channels: int, wish: encode.Wish) -> Any:
    if codec := encode.SOUND_ENCODERS.get(wish.name):
        return _Encoded(path, rate, channels, codec, wish.quality)
    return _Plain(path, rate, channels, wish)


class _Encoded:
    """Sound that PyAV encodes: MP3, Opus, AAC."""

    def __init__(self, path: Path, rate: int, channels: int, codec: str, quality: int) -> None:
        import av

        self._container = encode.container_for(path)
        self._rate = rate
        rates = sorted(av.codec.Codec(codec, "w").audio_rates or ()) or [rate]
        near = next((known for known in rates if known >= rate), rates[-1])
        self._stream = self._container.add_stream(codec, rate=near)
        self._stream.codec_context.layout = LAYOUTS[channels]
        self._stream.codec_context.bit_rate = encode.bits(quality)

    def __enter__(self) -> Any:
        return self._put

    def _put(self, block: Any, at: int) -> None:
        self._container.mux(self._stream.encode(audio_frame(block, self._rate, at)))

    def __exit__(self, kind: Any, *rest: Any) -> None:
        if kind is None:
            self._container.mux(self._stream.encode(None))
        self._container.close()


class _Plain:
    """Sound that soundfile writes: WAV, FLAC, OGG Vorbis."""

    def __init__(self, path: Path, rate: int, channels: int, wish: encode.Wish) -> None:
        import soundfile

        subtype = {"ogg": "VORBIS", "flac": "PCM_24"}.get(wish.name) or wish.codec.upper()
        more = {"compression_level": 1 - wish.quality / 100} if wish.name == "ogg" else {}
        self._file = soundfile.SoundFile(
            path, "w", rate, channels, format=wish.name.upper(), subtype=subtype, **more
        )

    def __enter__(self) -> Any:
        return self._put

    def _put(self, block: Any, at: int) -> None:
        self._file.write(block.T)

    def __exit__(self, *rest: Any) -> None:
        self._file.close()
