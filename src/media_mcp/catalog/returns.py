"""Facts about what an endpoint returns, as outputs (media) and values (all else)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from media_mcp.catalog.kinds import LINK, media_kind, output_word
from media_mcp.catalog.model import Shape
from media_mcp.job import MediaKind

Json = dict[str, Any]
RESULT: Json = {"role": "result", "kind": "text", "mime_type": "application/json", "shape": "value"}

_TYPES = frozenset({"string", "integer", "number", "boolean", "array", "object"})
_FORMATS = ("output_format", "image_format", "video_output_type", "output_container", "format")
_VECTOR = re.compile(r"(text-to-vector|vectorize|image2svg|image-to-svg|star-vector)")
_MIME_TYPES: Mapping[MediaKind, Mapping[str, str]] = {
    MediaKind.IMAGE: {
        "": "image/png",
        "jpeg": "image/jpeg",
        "jpg": "image/jpeg",
        "webp": "image/webp",
        "gif": "image/gif",
        "svg": "image/svg+xml",
    },
    MediaKind.VIDEO: {
        "": "video/mp4",
        "webm": "video/webm",
        "vp9": "video/webm",
        "mov": "video/quicktime",
        "prores": "video/quicktime",
        "mkv": "video/x-matroska",
        "gif": "image/gif",
    },
    MediaKind.AUDIO: {
        "": "audio/mpeg",
        "wav": "audio/wav",
        "flac": "audio/flac",
        "ogg": "audio/ogg",
        "opus": "audio/ogg",
        "aac": "audio/aac",
        "m4a": "audio/mp4",
    },
    MediaKind.MODEL3D: {
        "": "model/gltf-binary",
        "fbx": "application/octet-stream",
        "obj": "model/obj",
        "ply": "application/octet-stream",
        "stl": "model/stl",
        "usdz": "model/vnd.usdz+zip",
    },
    MediaKind.TEXT: {"": "text/plain"},
    MediaKind.FILE: {
        "": "application/octet-stream",
        "zip": "application/zip",
        "dataset": "application/zip",
        "json": "application/json",
        "config": "application/json",
        "lottie": "application/json",
        "caption": "application/x-subrip",
    },
}
_FROM_TASK: Mapping[str, tuple[str, MediaKind, Shape]] = {
    "image": ("images", MediaKind.IMAGE, "files"),
    "video": ("video", MediaKind.VIDEO, "file"),
    "audio": ("audio", MediaKind.AUDIO, "file"),
    "speech": ("audio", MediaKind.AUDIO, "file"),
    "3d": ("model_mesh", MediaKind.MODEL3D, "file"),
}


def returned(record: Mapping[str, Any], task: str) -> tuple[list[Json], list[Json]]:
    """Return the outputs and the values of a record, as they stand in a line."""
    told = record.get("outputs") or []
    media = {o["name"]: found for o in told if (found := _media(o, record))}
    values = [_value(o) for o in told if o["name"] not in media]
    outputs = list(media.values()) or _assumed(task, record, told)
    return outputs, values


def mime_type(role: str, kind: MediaKind, record: Mapping[str, Any]) -> str:
    """Return the type that an output most likely has: as the arguments' defaults say, or usual."""
    known = _MIME_TYPES[kind]
    if kind is MediaKind.IMAGE and _VECTOR.search(record["endpoint_id"]):
        return known["svg"]
    told = role if kind in (MediaKind.MODEL3D, MediaKind.FILE) else _format(record)
    words = re.findall(r"[a-z0-9]+", told.lower())
    return next((known[word] for word in words if word in known), known[""])


def _format(record: Mapping[str, Any]) -> str:
    defaults = {p["name"]: p.get("default") for p in record.get("inputs") or ()}
    return next((str(defaults[name]) for name in _FORMATS if defaults.get(name)), "")


def _media(output: Mapping[str, Any], record: Mapping[str, Any]) -> Json | None:
    kind = _kind(output, record)
    shape = _shape(output)
    if kind is MediaKind.TEXT and output["type"] == "string":
        shape = "value"
    elif kind is None or shape == "value":
        return None
    told = output.get("mime_type") or mime_type(output["name"], kind, record)
    made = {"role": output["name"], "kind": kind.value, "mime_type": told}
    return made | ({"shape": shape} if shape != "file" else {})


def _kind(output: Mapping[str, Any], record: Mapping[str, Any]) -> MediaKind | None:
    word = output.get("media_kind")
    if not word or _is_echo(output, record):
        return None
    if output.get("media_how") == "ui":
        return media_kind(word) or MediaKind.FILE
    word = output_word(output["name"], schema_of(output))
    if word == "file":
        return _siblings_kind(record) or MediaKind.FILE
    return media_kind(word) or MediaKind.FILE  # weights are a file to hand out


def _siblings_kind(record: Mapping[str, Any]) -> MediaKind | None:
    """Return AUDIO where every output whose name says anything is sound: the stems of a song."""
    told = (output_word(o["name"], "") for o in record["outputs"] if o.get("media_kind"))
    said = {word for word in told if word != "file"}
    return MediaKind.AUDIO if said == {"audio"} else None


def _is_echo(output: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
    names = {p["name"] for p in record.get("inputs") or ()}
    return output["type"] == "string" and output["name"] in names


def schema_of(output: Mapping[str, Any]) -> str:
    """Return the name of the schema that an output, or each of an array, has."""
    return str(output.get("ref") or (output.get("items") or {}).get("ref") or "")


def _shape(output: Mapping[str, Any]) -> Shape:
    """Tell how a media output is written; `value` where there is no link to one thing."""
    items = output.get("items") or {}
    fields = output.get("fields") or items.get("fields")
    if fields and "url" not in fields:
        return "value"
    if output["type"] == "array":
        return "urls" if items.get("type") == "string" else "files"
    if output["type"] == "union":
        return "file" if _one_kind(output.get("any_of") or ()) else "value"
    return "url" if output["type"] == "string" else "file"


def _one_kind(options: Iterable[Mapping[str, Any]]) -> bool:
    words = {output_word("", str(o.get("ref") or "")) for o in options}
    return len(words - {"file"}) <= 1


def _value(output: Mapping[str, Any]) -> Json:
    kind = output["type"]
    return {"name": output["name"], "type": kind if kind in _TYPES else "any"}


def _assumed(task: str, record: Mapping[str, Any], told: list[Any]) -> list[Json]:
    """Return the one output of an endpoint without media, or what its task promises."""
    promised = _FROM_TASK.get(task.rpartition("-to-")[2]) if not told else None
    if promised is None:
        return [dict(RESULT)]
    role, kind, shape = promised
    made = {"role": role, "kind": kind.value, "mime_type": mime_type(role, kind, record)}
    return [made | ({"shape": shape} if shape != "file" else {})]


def is_link(output: Mapping[str, Any]) -> bool:
    """Whether a text that is returned is the address of a thing, by its name."""
    name = output["name"]
    return bool(LINK.search(name)) and output_word(name, "") != "file"
