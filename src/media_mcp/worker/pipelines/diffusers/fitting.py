"""Brings pictures, masks and clips to the shapes that a class can take, without distorting them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from media_mcp.errors import BadMedia
from media_mcp.worker.pipelines.diffusers import sizes
from media_mcp.worker.pipelines.diffusers.inputs import Clip
from media_mcp.worker.work import Work

if TYPE_CHECKING:
    from media_mcp.worker.pipelines.diffusers.calling import Call

_SINGLE = frozenset({"image", "mask_image", "last_image", "control_image", "mask", "video"})
_CROPPED = frozenset({"image", "last_image", "mask_image", "control_image", "video", "mask"})


def first_size(kwargs: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return (width, height) of the first picture or clip among the arguments."""
    return next((_size(one) for value in kwargs.values() for one in _pictures(value)), None)


def _pictures(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _pictures(item)
    elif isinstance(value, Clip):
        yield value.frames[0]
    elif _is_picture(value):
        yield value


def _is_picture(value: Any) -> bool:
    return hasattr(value, "getbands")


def _size(picture: Any) -> tuple[int, int]:
    width, height = picture.size
    return int(width), int(height)


def canvas(pipe: Any, call: Call) -> tuple[int, int] | None:
    """Return the size that the picture to start from suggests, where the class asks for none.

    Classes with a `strength` would stretch it to a square; Kontext would draw a square.
    """
    picture = call.kwargs.get("image")
    one = picture[0] if isinstance(picture, list) and picture else picture
    if not _is_picture(one) or not {"strength", "max_area"} & call.takes.keys():
        return None
    area = call.kwargs.get("max_area") or sizes.native_area(pipe)
    multiple = sizes.side_multiple(pipe)
    return sizes.scaled(_size(one), area, multiple, up="max_area" in call.takes)


def fit(work: Work, pipe: Any, call: Call) -> None:
    """Crop what is to fill the canvas, bring clips and masks together, open lists of one."""
    kwargs = call.kwargs
    _unwrap(kwargs)
    _check_masks(work, kwargs)
    _crop_all(pipe, call)
    _match_frames(pipe, call)
    for name, value in kwargs.items():
        kwargs[name] = _plain(pipe, name, value)
    if "initial_audio_waveforms" in kwargs:
        kwargs["initial_audio_sampling_rate"] = int(pipe.vae.sampling_rate)


def _unwrap(kwargs: dict[str, Any]) -> None:
    for name in _SINGLE & kwargs.keys():
        value = kwargs[name]
        if isinstance(value, list) and len(value) == 1:
            kwargs[name] = value[0]


def _check_masks(work: Work, kwargs: Mapping[str, Any]) -> None:
    """Refuse a mask of another shape than what it masks; another size is brought to it later."""
    masked = next(_pictures(kwargs.get("image", kwargs.get("video"))), None)
    mask = next(_pictures(kwargs.get("mask_image", kwargs.get("mask"))), None)
    if masked is None or mask is None:
        return
    (width, height), (mask_width, mask_height) = _size(masked), _size(mask)
    if abs(width / height - mask_width / mask_height) > 0.02 * width / height:
        raise BadMedia(
            f"The mask has {mask_width}x{mask_height} pixels, what it masks {width}x{height}: "
            "another shape.",
            "Give a mask of the same shape.",
        )


def _crop_all(pipe: Any, call: Call) -> None:
    """Fill the canvas with what a class would stretch over it."""
    kwargs = call.kwargs
    size = _target(pipe, call)
    if size is None:
        return
    for name in _CROPPED & kwargs.keys():
        value = kwargs[name]
        if isinstance(value, Clip):
            kwargs[name] = Clip([filled(frame, size) for frame in value.frames])
        elif _is_picture(value):
            kwargs[name] = filled(value, size)


def _target(pipe: Any, call: Call) -> tuple[int, int] | None:
    kwargs, takes = call.kwargs, call.takes
    makes_clips = "num_frames" in takes or "video" in takes
    if not makes_clips and "strength" not in takes and "control_image" not in takes:
        return None  # what edits pictures brings them to shape itself
    if kwargs.get("width") and kwargs.get("height"):
        return int(kwargs["width"]), int(kwargs["height"])
    picture = kwargs.get("image")
    if "width" in takes or not _is_picture(picture) or makes_clips:
        return None
    area = sizes.native_area(pipe)
    return sizes.scaled(_size(picture), area, sizes.side_multiple(pipe), up=False)


def filled(picture: Any, size: tuple[int, int]) -> Any:
    """Return the middle of a picture at `size`, scaled so that it fills it."""
    from PIL import Image, ImageOps

    if picture.size == size:
        return picture
    return ImageOps.fit(picture, size, Image.Resampling.LANCZOS)


def _match_frames(pipe: Any, call: Call) -> None:
    """Make no more frames than the clip has, and as many masks as frames."""
    clip = call.kwargs.get("video")
    if not isinstance(clip, Clip):
        return
    step = sizes.frame_step(pipe)
    count = (len(clip.frames) - 1) // step * step + 1
    wanted = call.kwargs.get("num_frames")
    if wanted and wanted > count:
        call.changed.append(f"{count} frames instead of {wanted}: the clip has no more")
    if "num_frames" in call.takes:
        count = call.kwargs["num_frames"] = min(count, wanted or count)
    call.kwargs["video"] = Clip(clip.frames[:count])
    mask = call.kwargs.get("mask")
    if mask is not None:
        frames = mask.frames if isinstance(mask, Clip) else [mask]
        call.kwargs["mask"] = Clip([frames[min(n, len(frames) - 1)] for n in range(count)])


def _plain(pipe: Any, name: str, value: Any) -> Any:
    """Return a clip as its frames, samples as a tensor, all else as it is."""
    if isinstance(value, Clip):
        return [value.frames] if hasattr(pipe, "trim_conditioning_sequence") else value.frames
    if type(value).__name__ == "ndarray":
        import torch

        samples = torch.from_numpy(value)
        return samples[None] if name == "initial_audio_waveforms" else samples
    if name == "references":
        return _references(value)
    return value


def _references(value: Any) -> Any:
    """Wrap pictures as MiniMax-H3 takes them."""
    from diffusers.modular_pipelines.minimax_h3 import MiniMaxH3ImageReference

    given = value if isinstance(value, list) else [value]
    return [MiniMaxH3ImageReference(one) if _is_picture(one) else one for one in given]
