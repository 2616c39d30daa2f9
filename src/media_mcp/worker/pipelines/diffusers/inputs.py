"""Opens the media that a call names: pictures, masks, clips and sound, each as classes take it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from media_mcp.errors import BadMedia
from media_mcp.worker.sound import CONTAINERS
from media_mcp.worker.work import Work


@dataclass(frozen=True, slots=True)
class Clip:
    """A video's frames, as PIL pictures."""

    frames: list[Any]


@dataclass(frozen=True, slots=True)
class Pace:
    """How clips are read: `fps` frames a second (0: as they are), no more than `most`, and sound
    at `rate` Hz."""

    fps: float = 0.0
    most: int = 1000
    rate: int = 44100


def opened(work: Work, call: Mapping[str, Any], pace: Pace) -> dict[str, Any]:
    """Return a call with opened media in the place of the URIs that stand for them.

    A word of the call tells what is expected: a mask is a picture in greys, `video` a clip,
    `audio` samples, all else a picture. Raises `BadMedia` for a file that is not that.
    """
    return {name: _open(work, name, value, pace) for name, value in call.items()}


def _open(work: Work, name: str, value: Any, pace: Pace) -> Any:
    if isinstance(value, list):
        return [_open(work, name, item, pace) for item in value]
    if isinstance(value, Mapping):
        return {key: _open(work, name, item, pace) for key, item in value.items()}
    path = work.run.inputs.get(value) if isinstance(value, str) else None
    return _read(path, name, _said(work, str(value)), pace) if path else value


def _said(work: Work, uri: str) -> str:
    """Return the name that the caller gave this file under."""
    for name, value in work.run.arguments.items():
        if value == uri or (isinstance(value, list) and uri in value):
            return str(name)
    return "input"


def _read(path: str, name: str, said: str, pace: Pace) -> Any:
    if "video" in name:
        return open_clip(path, said, pace)
    if "audio" in name or "waveform" in name:
        return open_sound(path, said, pace.rate)
    if "mask" in name:
        return _open_mask(path, said, pace)
    return open_picture(path, said)


def _open_mask(path: str, said: str, pace: Pace) -> Any:
    """Open a mask: of a picture, or of every frame of a clip."""
    try:
        return open_picture(path, said, mode="L")
    except BadMedia:
        return Clip([frame.convert("L") for frame in open_clip(path, said, pace).frames])


def open_picture(path: str, said: str, mode: str = "RGB") -> Any:
    """Open a picture the right way up; what is transparent becomes white."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as picture:
            upright = ImageOps.exif_transpose(picture)
            if "transparency" in upright.info or upright.mode in ("RGBA", "LA", "PA"):
                ground = Image.new("RGBA", upright.size, "white")
                upright = Image.alpha_composite(ground, upright.convert("RGBA"))
            return upright.convert(mode)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _unreadable(said, "a picture", error) from None


def open_clip(path: str, said: str, pace: Pace) -> Clip:
    """Decode a video's frames at the pace that is asked for; those after the last are not read."""
    import av

    try:
        with _container(path) as container:
            stream = container.streams.video[0]
            own = float(stream.average_rate or stream.guessed_rate or 0)
            frames = _paced(container.decode(stream), own, pace) if own else []
    except (OSError, ValueError, IndexError, av.FFmpegError) as error:
        raise _unreadable(said, "a video", error) from None
    if not frames:
        raise _unreadable(said, "a video", None)
    return Clip(frames)


def _paced(frames: Iterable[Any], own: float, pace: Pace) -> list[Any]:
    """Take the frame that shows at each 1/fps s, of frames that show for 1/own s each."""
    taken: list[Any] = []
    fps = pace.fps or own
    for index, frame in enumerate(frames):
        while len(taken) < pace.most and len(taken) / fps < (index + 1) / own - 1e-6:
            taken.append(frame.to_image())
        if len(taken) >= pace.most:
            break
    return taken


def open_sound(path: str, said: str, rate: int) -> Any:
    """Decode a file's sound to float32 samples (channels, n) from -1 to 1, at `rate` Hz."""
    import av
    import numpy

    try:
        with _container(path) as container:
            stream = container.streams.audio[0]
            resampler = av.AudioResampler(format="fltp", rate=rate)
            frames = [
                one for frame in container.decode(stream) for one in resampler.resample(frame)
            ]
            parts = [frame.to_ndarray() for frame in (*frames, *resampler.resample(None))]
    except (OSError, ValueError, IndexError, av.FFmpegError) as error:
        raise _unreadable(said, "sound", error) from None
    if not parts:
        raise _unreadable(said, "sound", None)
    return numpy.concatenate(parts, axis=-1)


def _container(path: str) -> Any:
    """Open a file, and no playlist or other that leads to further files."""
    import av

    return av.open(
        f"file:{path}", options={"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}
    )


def _unreadable(said: str, wanted: str, error: Exception | None) -> BadMedia:
    reason = f" ({str(error).splitlines()[0][:120]})" if error and str(error) else ""
    return BadMedia(
        f"{said}: this file cannot be read as {wanted}{reason}.", "Give a whole file of that kind."
    )
