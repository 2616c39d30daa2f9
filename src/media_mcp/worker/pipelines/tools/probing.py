"""What a file of media is: size, duration, rates, codecs, pictures and sound."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from media_mcp.worker import encode
from media_mcp.worker.pipelines.tools.clips import DEMUXERS, open_clip, opened
from media_mcp.worker.pipelines.tools.faults import unreadable
from media_mcp.worker.pipelines.tools.tracks_io import open_track
from media_mcp.worker.work import Product, Work

PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tiff", ".avif"})


def probe(work: Work, media_url: Path) -> Product:
    """Say what a video, a sound or a picture is, as JSON and in the answer's facts."""
    suffix = media_url.suffix.lower()
    if suffix in PICTURES:
        told = _of_picture(media_url)
    elif suffix in DEMUXERS:
        told = _of_streams(media_url)
    else:
        raise unreadable(media_url, "media", f"a file of the kind {suffix or 'unknown'} is none")
    told = {"file_bytes": media_url.stat().st_size} | told
    text = json.dumps(told, indent=1)
    return Product((encode.save_text(work, text, "json", "application/json"),), told)


def _of_picture(path: Path) -> dict[str, Any]:
    from PIL import Image

    from media_mcp.worker.pipelines.tools.images import open_image

    upright = open_image(path)
    with Image.open(path) as image:
        frames = getattr(image, "n_frames", 1)
        told: dict[str, Any] = {
            "kind": "image",
            "format": (image.format or "").lower(),
            "width": upright.width,
            "height": upright.height,
            "transparent": upright.mode == "RGBA",
        }
        metadata = [name for name in ("exif", "icc_profile", "xmp") if image.info.get(name)]
    told |= {"frames": frames} if frames > 1 else {}
    return told | ({"metadata": metadata} if metadata else {})


def _of_streams(path: Path) -> dict[str, Any]:
    with opened(path, "media") as container:
        pictures = any(s.codec_context for s in container.streams.video)
        names = _codecs(container)
        text = len(container.streams.subtitles)
        variable = bool(pictures and _uneven(container.streams.video[0]))
        bits = container.bit_rate
    told: dict[str, Any] = _of_video(path) | {"sound": None} if pictures else {"kind": "audio"}
    if names.get("audio"):
        track = open_track(path)
        told |= {"sound": {"codec": names["audio"], "rate": track.rate, "channels": track.channels}}
        told = {"seconds": round(track.seconds, 3)} | told
    if pictures:
        told |= {"codec": names.get("video"), "variable_rate": variable}
    told |= {"subtitle_streams": text} if text else {}
    return told | ({"kbit_per_second": round(bits / 1000)} if bits else {})


def _codecs(container: Any) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for stream in container.streams:
        if stream.type in ("video", "audio") and stream.codec_context is not None:
            found.setdefault(stream.type, stream.codec_context.codec.canonical_name)
    return found


def _uneven(stream: Any) -> bool:
    average, base = stream.average_rate, stream.base_rate
    return bool(average and base and abs(float(average) - float(base)) > 0.01 * float(base))


def _of_video(path: Path) -> dict[str, Any]:
    clip = open_clip(path)
    told = {
        "kind": "video",
        "width": clip.width,
        "height": clip.height,
        "fps": round(float(clip.fps), 3),
        "seconds": round(clip.seconds, 3),
    }
    return told | ({"turned": clip.turned} if clip.turned else {})
