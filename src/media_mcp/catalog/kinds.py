"""What a place's names say: which arguments and outputs are media, of what kind and what for."""

from __future__ import annotations

import re

from media_mcp.job import MediaKind

LINK = re.compile(r"(_urls?|_uris?|^urls?)$")
_NO_MEDIA = re.compile(r"^(response|status|cancel|webhook|callback|model|stream)_urls?$")

# The first that fits wins: `control_lora_image_url` is a picture, `texture_lora_url` is weights.
_INPUTS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("archive", re.compile(r"(^|_)(data|archive|zip|dataset)_ur[li]s?$")),
    ("file", re.compile(r"(srt|subtitle|caption|font|embedding_file|bounding_boxes)")),
    ("model3d", re.compile(r"(mesh|glb|model_file|input_file|3d)")),
    ("image", re.compile(r"(image|img|picture|photo|thumbnail)")),
    ("video", re.compile(r"(video|clip)")),
    ("audio", re.compile(r"(audio|voice|song|music|speech|sound|impulse_response)")),
    ("weights", re.compile(r"(lora|model|checkpoint|weights|config|control_method)")),
    ("image", re.compile(r"(mask|frame|face|logo)")),
    ("document", re.compile(r"pdf")),
)
_ROLES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("mask", re.compile(r"(^|_)masks?_")),
    ("control", re.compile(r"^control_")),
    ("end_frame", re.compile(r"^(end|tail|last)(_frame)?(_image)?_url$")),
    ("start_frame", re.compile(r"^(start|first)(_frame)?(_image)?_url$")),
    ("reference", re.compile(r"(^|_)(ref|reference|style)_")),
)
_OUTPUTS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("archive", re.compile(r"(zip|archive|dataset)")),
    ("weights", re.compile(r"(lora|safetensors|checkpoint|weights)")),
    (
        "file",
        re.compile(r"(config|caption|latents|embedding|json|lottie|mtl|exr_file|splat|world)"),
    ),
    ("model3d", re.compile(r"(mesh|glb|fbx|usdz|stl|ply|(^|_)obj($|_)|^(base_|pbr_)?model($|_))")),
    ("video", re.compile(r"video")),
    ("audio", re.compile(r"(audio|vocals|drums|bass|guitar|piano|speech|music|song|sound)")),
    (
        "image",
        re.compile(r"(image|mask|thumbnail|texture|map$|sheet|picture|photo|frames?_|overlay)"),
    ),
)
_SCHEMAS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("video", re.compile(r"video", re.IGNORECASE)),
    ("audio", re.compile(r"audio", re.IGNORECASE)),
    ("image", re.compile(r"image", re.IGNORECASE)),
)
_KNOWN = {kind.value: kind for kind in MediaKind}
_FILES = frozenset({"archive", "media", "document"})
_FIELDS = {"image_mask": "image", "3d": "model3d", "model": "model3d", "text": ""}


def media_kind(word: str) -> MediaKind | None:
    """Return our kind for a place's word (`archive` is a file), None for weights and the rest."""
    return MediaKind.FILE if word in _FILES else _KNOWN.get(word)


def input_word(name: str) -> str:
    """Return what an argument's name says it points at, `""` if it is no link to media."""
    if not LINK.search(name) or _NO_MEDIA.match(name):
        return ""
    return _first(_INPUTS, name) or ("media" if name.startswith("media") else "file")


def input_role(name: str, kind: str) -> str:
    """Return what an argument's media is for: `mask`, `start_frame`, `reference`, … or `""`."""
    role = _first(_ROLES, name)
    return "" if kind == "audio" and role.endswith("_frame") else role


def output_word(name: str, schema: str) -> str:
    """Return what an output is, by its name and then by its schema's name; `file` if neither says.

    A schema made for one kind of media wins over the name: a `mask` that is a `VideoFile`.
    """
    if schema == "VideoFile":
        return "video"
    return _first(_OUTPUTS, name) or _first(_SCHEMAS, schema) or "file"


def field_word(field: str) -> str:
    """Return what a form's field (`ui.field`) says of an argument: `image_mask` is an image."""
    return _FIELDS.get(field, field)


def _first(rules: tuple[tuple[str, re.Pattern[str]], ...], text: str) -> str:
    return next((word for word, pattern in rules if pattern.search(text)), "")
