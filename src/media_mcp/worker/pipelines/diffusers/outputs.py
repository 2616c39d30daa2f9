"""Reads what a pipeline returns, whatever its kind, and saves it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from media_mcp.errors import BadOutput
from media_mcp.worker.encode import Sound, save_images, save_sound, save_video
from media_mcp.worker.protocol import Made
from media_mcp.worker.work import Work

_RATES = (
    ("vocoder", "output_sampling_rate"),
    ("vocoder", "sampling_rate"),
    ("audio_vae", "sampling_rate"),
    ("vae", "sampling_rate"),
)
_RATE = 44100


@dataclass(frozen=True, slots=True)
class Result:
    """What one run made: pictures, or one clip's frames, and the sound. Pictures are PIL's or
    float arrays (h, w, channels) from 0 to 1; sound is float32 (channels, n)."""

    pictures: tuple[Any, ...] = ()
    frames: Any = None
    sound: Sound | None = None

    @property
    def size(self) -> tuple[int, int] | None:
        """(width, height) of the pictures or frames."""
        shown = self.pictures if self.frames is None else self.frames
        if len(shown) == 0:
            return None
        first = shown[0]
        width, height = first.size if hasattr(first, "getbands") else first.shape[1::-1]
        return int(width), int(height)


def read(pipe: Any, returned: Any) -> Result:
    """Return what `pipe` returned, read by the names that classes give it.

    Raises `BadOutput` for nothing, and for what has none of the known names.
    """
    sound = _sound(pipe, returned)
    if (frames := _named(returned, "frames", "videos")) is not None:
        result = Result(frames=_frames(frames), sound=sound)
    elif (images := _named(returned, "images", "image")) is not None:
        result = Result(pictures=tuple(_flat(images)), sound=sound)
    else:
        result = Result(sound=sound)
    if not result.pictures and result.frames is None and result.sound is None:
        name = type(pipe).__name__
        raise BadOutput(f"{name} returned no picture, clip or sound.", "Try another seed.")
    return result


def _named(returned: Any, *names: str) -> Any:
    """Return the first of these that a result holds; one of a modular pipeline is a state."""
    values = getattr(returned, "values", None)
    known = values if isinstance(values, dict) else returned
    for name in names:
        value = known.get(name) if isinstance(known, dict) else getattr(known, name, None)
        if value is not None and (not hasattr(value, "__len__") or len(value)):
            return value
    return None


def _frames(frames: Any) -> Any:
    """Return the frames of the first clip: PIL pictures or an array (frames, h, w, channels)."""
    first = frames[0] if isinstance(frames, list | tuple) or frames.ndim == 5 else frames
    return first if isinstance(first, list) else _channels_last(_array(first))


def _flat(images: Any) -> Iterator[Any]:
    """Yield pictures one by one out of lists of lists, and of arrays and tensors of several."""
    if hasattr(images, "getbands"):
        yield images
    elif isinstance(images, list | tuple):
        for one in images:
            yield from _flat(one)
    else:
        values = _array(images)
        yield from _channels_last(values) if values.ndim == 4 else [_channels_last(values)]


def _channels_last(values: Any) -> Any:
    """Turn (…, channels, h, w), as tensors are, into (…, h, w, channels)."""
    is_last = values.shape[-1] in (1, 3, 4)
    return values if is_last else values.swapaxes(-3, -2).swapaxes(-2, -1)


def _array(values: Any) -> Any:
    """Return a tensor, wherever it is and of whatever type, as an array."""
    return values.detach().float().cpu().numpy() if hasattr(values, "detach") else values


def _sound(pipe: Any, returned: Any) -> Sound | None:
    found = _named(returned, "audios", "audio")
    if found is None:
        return None
    values = _array(found[0] if isinstance(found, list | tuple) else found)
    while values.ndim > 2:
        values = values[0]
    rate = _named(returned, "sampling_rate")
    return Sound(values, int(rate) if isinstance(rate, int) else sound_rate(pipe))


def sound_rate(pipe: Any) -> int:
    """Return the samples a second of the sound that a pipeline makes or takes."""
    for part, key in _RATES:
        config = getattr(getattr(pipe, part, None), "config", None)
        if isinstance(rate := getattr(config, key, None), int):
            return rate
    given = getattr(pipe, "audio_sampling_rate", None) or getattr(pipe, "sample_rate", None)
    return given if isinstance(given, int) else _RATE


def save(work: Work, results: list[Result], fps: float) -> list[Made]:
    """Save what the runs made, numbered over all of them, with the model's roles in order.

    A clip's own sound goes into its file, unless the model has another output for it.
    """
    roles = work.run.roles or ("output",)
    made: list[Made] = []
    for index, result in enumerate(results):
        if result.frames is not None:
            apart = len(roles) > 1 and result.sound is not None
            sound = None if apart else result.sound
            made.append(save_video(work, result.frames, fps, sound, index=index))
            if apart and result.sound is not None:
                heard = result.sound
                made.append(save_sound(work, heard.samples, heard.rate, role=roles[1], index=index))
        elif result.pictures:
            made += save_images(work, _enlarged(work, result.pictures), first=len(made))
        elif result.sound is not None:
            made.append(save_sound(work, result.sound.samples, result.sound.rate, index=index))
    return made


def _enlarged(work: Work, pictures: tuple[Any, ...]) -> list[Any]:
    side = work.run.arguments.get(work.run.spec.get("enlarge", ""))
    return [enlarged(picture, side) for picture in pictures] if side else list(pictures)


def enlarged(picture: Any, side: int | None) -> Any:
    """Return the picture with its longer side at `side` pixels."""
    from PIL.Image import Resampling

    if not side or side == max(picture.size):
        return picture
    factor = side / max(picture.size)
    size = tuple(max(1, round(pixels * factor)) for pixels in picture.size)
    return picture.resize(size, Resampling.LANCZOS)
