"""Who made a model, by its endpoint's id; for places that do not say it themselves."""

from __future__ import annotations

import re

HOUSE = "fal"  # the place that runs what it did not make, and whose own small models these are

# By owner (before the first slash); `fal-ai` says nothing, there the name behind it counts.
_OWNERS = {
    "alibaba": "Alibaba",
    "argil": "Argil",
    "beatoven": "Beatoven",
    "bria": "Bria",
    "bytedance": "ByteDance",
    "cassetteai": "CassetteAI",
    "decart": "Decart",
    "google": "Google",
    "ideogram": "Ideogram",
    "krea": "Krea",
    "luma": "Luma AI",
    "microsoft": "Microsoft",
    "minimax": "MiniMax",
    "mirelo-ai": "Mirelo AI",
    "moonvalley": "Moonvalley",
    "nvidia": "NVIDIA",
    "openai": "OpenAI",
    "resemble-ai": "Resemble AI",
    "reve": "Reve",
    "rundiffusion-fal": "Black Forest Labs",
    "sonauto": "Sonauto",
    "tripo3d": "Tripo",
    "veed": "VEED",
    "wan": "Alibaba",
    "xai": "xAI",
}

# The first pattern that the name behind `fal-ai/` starts with.
_APPS: tuple[tuple[str, str], ...] = (
    ("ace-step", "ACE Studio / StepFun"),
    ("bria", "Bria"),
    ("bytedance", "ByteDance"),
    ("chatterbox", "Resemble AI"),
    ("cosmos|nemotron|sana", "NVIDIA"),
    ("creatify", "Creatify"),
    ("decart", "Decart"),
    ("dia-tts", "Nari Labs"),
    ("elevenlabs", "ElevenLabs"),
    ("fast-sdxl-controlnet|fast-svd|sdxl-controlnet|stable-", "Stability AI"),
    ("florence|trellis|vibevoice", "Microsoft"),
    ("flux|lucidflux|turbo-flux", "Black Forest Labs"),
    ("gemini|imagen|lyria|nano-banana|veo", "Google"),
    ("gpt-image|sora|whisper|wizper", "OpenAI"),
    ("heygen", "HeyGen"),
    ("hidream", "HiDream"),
    ("hunyuan", "Tencent"),
    ("hyper3d", "Hyper3D"),
    ("ideogram", "Ideogram"),
    ("inworld", "Inworld"),
    ("kling", "Kuaishou"),
    ("kokoro", "hexgrad"),
    ("krea-wan|qwen|wan|z-image", "Alibaba"),
    ("krea", "Krea"),
    ("longcat", "Meituan"),
    ("ltx", "Lightricks"),
    ("luma", "Luma AI"),
    ("maya", "Maya Research"),
    ("meshy", "Meshy"),
    ("minimax", "MiniMax"),
    ("mmaudio", "MMAudio (Sony AI / UIUC)"),
    ("moondream", "Moondream"),
    ("ovi", "Character.AI"),
    ("pika", "Pika"),
    ("pixverse", "PixVerse"),
    ("recraft", "Recraft"),
    ("reve", "Reve"),
    ("sam-3|sam-audio|sam2", "Meta"),
    ("star-vector", "ServiceNow Research"),
    ("sync-lipsync", "sync."),
    ("topaz", "Topaz Labs"),
    ("triposr", "Tripo"),
    ("vidu", "Vidu"),
)
_PATTERNS = tuple((re.compile(pattern), maker) for pattern, maker in _APPS)


def maker_of(endpoint_id: str) -> str:
    """Return the maker's name: `Kuaishou` for `fal-ai/kling-video/v3/pro/text-to-video`.

    An owner that is not known stands for itself; `fal` where the id names no maker at all.
    """
    owner, _, rest = endpoint_id.partition("/")
    if owner.lower() != "fal-ai":
        return _OWNERS.get(owner.lower(), owner)
    return next((maker for pattern, maker in _PATTERNS if pattern.match(rest)), HOUSE)
