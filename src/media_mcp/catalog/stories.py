"""Titles and descriptions of generated models, from facts only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice
from typing import Any

from media_mcp.catalog.deeds import deed_of
from media_mcp.catalog.makers import HOUSE
from media_mcp.catalog.traits import Traits

Line = Mapping[str, Any]

MAX_WORDS = 45
MAX_TITLE = 80
_WORD = re.compile(r"[a-z]+|\d+(?:\.\d+)*")
_GENERIC = frozenset(
    {
        *("video", "audio", "image", "text", "music", "sound", "avatar", "avatars", "lipsync"),
        *("subtitles", "effect", "effects", "generation", "generator", "background", "removal"),
        *("swap", "detector", "ai", "v", "to", "of"),
    }
)
_UNSAID = frozenset({"openai", "router"})  # parts of ids that say nothing
# Tools of the house, whose names say only what they do.
_NAMELESS = re.compile(
    r"^fal-ai/(image-(apps|editing|preprocessors)|imageutils|post-processing|workflow-utilities"
    r"|ffmpeg-api|\w+ify$|retoucher|object-removal|inpaint|dubbing|auto-caption|video-upscaler)"
)
_SMALL = frozenset({"to", "of", "with", "and", "by"})
_SPELLED = {
    word.lower(): word
    for word in (
        *("LoRA", "TTS", "HD", "SFX", "4K", "ASR", "3D", "I2V", "T2V", "FLF2V", "AI", "RLE"),
        *("OCR", "SVG", "HDR", "HED", "MLSD", "NSFW", "SAM", "VTO", "GPT", "FFmpeg"),
    )
}
_SIZED = re.compile(r"^[a-z]?\d+(\.\d+)?b$")


def title_of(name: str, endpoint_id: str, provider: str = "") -> str:
    """Return a title that tells an endpoint from its siblings: its name, and what else its id says.

    A title is its own title.
    """
    owner, _, rest = endpoint_id.partition("/")
    app, *path = rest.split("/")
    name = _named(" ".join(name.split()).removesuffix(" API"), owner, app, provider)
    if "standard" in path:
        name = name.replace("[Pro]", "[Standard]").replace("(pro)", "(standard)")
    known = _words(name)
    more = [_missing(part, known, _squeezed(name)) for part in path if part not in _UNSAID]
    return " ".join([name, *filter(None, more)])[:MAX_TITLE].strip()


def _named(name: str, owner: str, app: str, provider: str) -> str:
    """Return a name that can stand alone: `Video` of Bria's becomes `Bria Video`."""
    name = _spelled(name) if name.islower() else name
    if owner == "fal-ai":
        return name or _spelled(app)
    words = _words(name)
    if all(word in _GENERIC or word[0].isdigit() for word in words):
        house = provider if _squeezed(provider) == _squeezed(owner) != provider else _spelled(owner)
        return f"{house} {name or _spelled(app)}"
    return name


def _missing(part: str, known: list[str], told: str) -> str:
    """Return what a part of an id says that the name does not."""
    words = [word for word in _words(part) if word != "v"]
    whole = "-to-" in part
    missing = [word for word in words if not _is_known(word, known, whole)]
    if not missing or _squeezed(part) in told:
        return ""
    if whole or len(missing) == len(words):
        return _spelled(part)
    pieces = [piece for piece in re.split(r"[-_]", part) if set(_words(piece)) & set(missing)]
    return _spelled("-".join(pieces))


def _is_known(word: str, known: list[str], whole: bool) -> bool:
    if word in known or f"{word}.0" in known:
        return True
    return not whole and len(word) > 4 and any(other.startswith(word[:4]) for other in known)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _squeezed(text: str) -> str:
    return re.sub(r"[^a-z0-9.]", "", text.lower())


def _spelled(part: str) -> str:
    """Write a part of an id as words: `image-to-video` is `Image to Video`."""
    return " ".join(_spelled_word(word) for word in re.split(r"[-_ ]", part) if word)


def _spelled_word(word: str) -> str:
    if _SIZED.match(word):
        return word.upper()
    plain = word in _SMALL or word[0].isdigit() or re.match(r"v\d", word)
    return _SPELLED.get(word) or (word if plain else word[0].upper() + word[1:])


def story_of(line: Line) -> str:
    """Return a description of at most 45 words: what is made of what, how much, by whom."""
    traits = Traits(line)
    told, usual = deed_of(line["task"], line["id"])
    deed = traits.filled(told)
    details = list(filter(None, traits.measures(deed)))
    story = f"{deed}{'; ' if ':' in deed else ': '}{', '.join(details)}." if details else f"{deed}."
    for more in (_origin(line, traits), _extras(traits, deed, usual), traits.wait()):
        if more and len(f"{story} {more}".split()) <= MAX_WORDS:
            story = f"{story} {more}"
    return story


def _origin(line: Line, traits: Traits) -> str:
    """Say which model it is, who made it and which edition: `With Veo 3.1 Fast by Google, …`"""
    maker = line.get("provider", HOUSE).partition(" (")[0].rstrip(".")
    core, edition = traits.core(), traits.edition()
    own = maker == HOUSE
    if line["task"] == "training" or _NAMELESS.search(line["id"]) or not core:
        return f"{edition[:1].upper()}{edition[1:]}." if edition else ""
    told = own or _squeezed(core).startswith(_squeezed(maker))
    model = f"With {core}" if told else f"With {core} by {maker}"
    return f"{model}, {edition}." if edition else f"{model}."


def _extras(traits: Traits, deed: str, usual: bool) -> str:
    """Say what else it takes: the three things that tell most."""
    found = list(islice(traits.extras(deed, usual=usual), 3))
    if not found:
        return ""
    *most, last = found
    return f"Takes {', '.join(most)} and {last}." if most else f"Takes {last}."
