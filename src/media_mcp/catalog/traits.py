"""What a line says of an endpoint that tells it from its siblings, in a few words each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

Line = Mapping[str, Any]

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_PIXELS = re.compile(r"^(\d+(?:\.\d+)?)([pk])$")
_RESOLUTION = re.compile(r"[/-](\d{3,4}p|4k)(?=$|[/-])")
_CHANGE = re.compile(
    r"(?:\b(?:reference|multi|first|last|start|image)[- ])*"
    r"\b(?:text|images?|video|audio|speech|end|frame|sketch|multiview|reference)[- ]to[- ]"
    r"(?:image|video|audio|speech|3d|music|text|vector|world|sound effects|lottie)\b"
    r"|\bwith loras?\b|\blora\b|\btrain(?:er|ing)?\b|\binference\b",
    re.IGNORECASE,
)
_HOLLOW = re.compile(r"[\[(]\s*[\])]")
_DURATIONS = ("duration", "duration_seconds", "seconds", "music_length")
_RATES = ("fps", "frames_per_second", "frame_rate", "video_fps")
_SOUND = ("generate_audio", "enable_audio", "generate_audio_switch")
_SPEECH = ("audio_url", "audio_urls", "first_audio_url", "voice_audio_url", "driven_audio_url")
_VOICES = ("voice", "voice_id")
_LANGUAGES = ("language", "language_code", "language_boost", "output_language")
_STYLES = ("style", "style_preset", "avatar_style")
_EFFECTS = ("effect", "effect_scene", "template", "effect_type")
_STARTS = ("image_url", "image_urls", "input_image_urls")
_REFERENCES = ("reference_image_urls", "reference_image_url", "ref_image_urls")

# What a word of an id says of an edition; the first that fits. Apps whose name only sounds so.
_EDITIONS: tuple[tuple[str, str], ...] = (
    (r"realtime", "for live use"),
    (r"stream", "answers bit by bit"),
    (r"schnell|lightning|sprint", "for few steps, fast"),
    (r"distill(ed)?", "distilled to few steps, faster"),
    (r"turbo|fast|flash|rapid|speed|instant", "the faster edition"),
    (r"pro|max|ultra|master|quality|hd|precision", "the finer edition"),
    (r"lite|mini|small", "the lighter edition"),
    (r"creative", "invents detail"),
    (r"crisp", "stays true to the original"),
    (r"multilingual", "in many languages"),
)
_WORDS = tuple(
    (re.compile(rf"(?:^|[-/_])(?:{words})(?=$|[-/_])"), told) for words, told in _EDITIONS
)
_SOUNDS_SO = re.compile(
    r"^(fast-|flux-pro|f-lite|turbo-flux|instant-|multishot-master|t2v-turbo)[^/]*"
)

_GUIDES = (("canny", "edges"), ("depth", "depth"))
_DATA = (
    (r"trellis", "3D models"),
    (r"stable-audio|t2a|a2a|trainer-v2/audio", "recordings"),
    (r"image-trainer", "pictures"),
    (r"ltx|video|wan", "videos"),
)
_LESSONS = (
    (r"/edit$|image-edit|kontext", ", for edits"),
    (r"extend-prefix", ", to extend clips before their start"),
    (r"extend-suffix", ", to extend clips after their end"),
    (r"inpaint", ", to repaint parts"),
    (r"outpaint", ", to paint beyond the edges"),
    (r"interpolate|flf2v", ", to film between pictures"),
    (r"av2av", ", from video with sound to the same"),
    (r"a2a", ", from sound to sound"),
    (r"a2v", ", from sound to video"),
    (r"v2a", ", from video to sound"),
    (r"t2a", ", from text to sound"),
    (r"v2v", ", from video to video"),
    (r"i2v", ", from picture to video"),
    (r"t2v", ", from text to video"),
)
_NAMED = {"hdr-style": "high dynamic range", "parabolize": "a bend like a parabola"}


class Traits:
    """Reads one line, a few words at a time."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._task: str = line["task"]
        self._path: str = line["id"].lower().partition("/")[2]
        self._inputs: dict[str, Line] = {p["name"]: p for p in line["inputs"]}

    def filled(self, deed: str) -> str:
        """Fill the places of a deed with words that fit this endpoint."""
        return deed.format_map(_Places(self)) if "{" in deed else deed

    def core(self) -> str:
        """Return the model's name without what it makes of what: `Kling 2.5 Turbo Pro`."""
        return _without(self._line["name"])

    def taught(self) -> str:
        """Return the name of the model that a training is for."""
        name = self._line["name"]
        return _without(name.partition("Trainer")[0]) or _without(name)

    def measures(self, deed: str) -> Iterator[str]:
        """Yield how long, how fine and how many: `5 or 10 seconds`, `up to 1080p`, `with sound`."""
        makes_video = self._task.endswith("-to-video")
        fixed = deed.startswith(("Upscales", "Makes a video smoother"))
        if not fixed and (makes_video or self._task.endswith(("-to-audio", "-to-speech"))):
            yield self._seconds()
        if makes_video or self._task.endswith("-to-image"):
            yield self._fineness()
        if makes_video:
            yield self._sound()
        most = self._inputs.get("num_images", {}).get("maximum", 0)
        yield f"up to {most} at once" if most > 4 else ""
        yield self._factor()
        yield self._choices("voices", _VOICES)
        yield self._choices("languages", _LANGUAGES)
        yield self._choices("styles", _STYLES)
        yield self._choices("effects", _EFFECTS)

    def edition(self) -> str:
        """Return what its id says of the edition, `""` if nothing: `the faster edition`."""
        path = _SOUNDS_SO.sub("", self._path)
        return next((told for words, told in _WORDS if words.search(path)), "")

    def extras(self, deed: str, *, usual: bool) -> Iterator[str]:
        """Yield what it takes beside the usual, the most telling first."""
        moving = self._task in ("text-to-video", "image-to-video")
        if self._has("loras", "lora_path", "lora_url"):
            yield "your own LoRAs"
        if self._role("end_frame") and "between" not in deed:
            yield "a picture to end on"
        if self._role("mask") and "mask" not in deed:
            yield "a mask"
        if self._has("controlnets", "controlnet_unions", "controlnet", "easycontrols"):
            yield "ControlNets"
        if self._optional(*_REFERENCES):
            yield "reference pictures"
        if self._optional("elements"):
            yield "named characters"
        if usual and self._task.startswith("text") and self._optional(*_STARTS):
            yield "pictures to start from"
        if moving and self._optional("video_url", "video_urls"):
            yield "a video as a guide"
        if moving and self._optional("audio_url", "audio_urls"):
            yield "a sound track"
        if self._task == "text-to-speech" and self._optional("audio_url"):
            yield "a recording whose voice it copies"
        if self._has("strength") and self._task == "image-to-image":
            yield "a strength (how much changes)"

    def wait(self) -> str:
        """Say how long a call takes by the place's own estimate."""
        seconds = self._line.get("seconds")
        if not seconds:
            return ""
        minutes = round(seconds / 60)
        return "About a minute a call." if minutes <= 1 else f"About {minutes} minutes a call."

    def many(self) -> str:
        pictures = [p for p in self._inputs.values() if p.get("media") == "image"]
        lists = [p for p in pictures if p["type"] == "array"]
        most = max((p.get("max_items", 0) for p in lists), default=0)
        if most > 1:
            return f"up to {most} pictures"
        return "one or more pictures" if lists else "a picture" if len(pictures) < 2 else "pictures"

    def voice(self) -> str:
        return "a recording" if self._has(*_SPEECH) else "a text"

    def speak(self) -> str:
        return "talk or sing as in a recording" if self._has(*_SPEECH) else "speak a text"

    def guide(self) -> str:
        return _fitting(_GUIDES, self._path, "lines")

    def effect(self) -> str:
        last = self._path.rpartition("/")[2]
        return _NAMED.get(last, last.replace("-", " "))

    def marked(self) -> str:
        if "mask" in self._path or self._inputs.get("mask_url", {}).get("required"):
            return "what a mask covers"
        boxed = "bbox" in self._path or "keypoints" in self._path
        return (
            "what you point at" if boxed else "what you name" if self._has("prompt") else "things"
        )

    def piece(self) -> str:
        return "a song" if re.search("music|sonauto|^v2/", self._path) else "a sound"

    def source(self) -> str:
        return _fitting((("video", "video"), ("text", "text")), self._path, "picture")

    def tongue(self) -> str:
        return self._path.rpartition("/")[2].replace("-", " ").title()

    def data(self) -> str:
        return _fitting(_DATA, self._path, "pictures")

    def lesson(self) -> str:
        masked = ", within a mask" if "masked" in self._path else ""
        context = ", as an in-context LoRA" if "ic-lora" in self._path else ""
        return _fitting(_LESSONS, self._path, "") + masked + context

    def _has(self, *names: str) -> bool:
        return any(name in self._inputs for name in names)

    def _optional(self, *names: str) -> bool:
        return any(not self._inputs[n].get("required") for n in names if n in self._inputs)

    def _role(self, role: str) -> bool:
        """Whether something in this role may be given, or left out."""
        return any(p.get("role") == role and not p.get("required") for p in self._inputs.values())

    def _seconds(self) -> str:
        spans = (_span(self._inputs[name]) for name in _DURATIONS if name in self._inputs)
        return next(filter(None, spans), "") or self._seconds_of_frames()

    def _seconds_of_frames(self) -> str:
        frames = self._inputs.get("num_frames") or {}
        rates = (self._inputs[name].get("default") for name in _RATES if name in self._inputs)
        rate = next((r for r in rates if isinstance(r, int | float) and r > 0), None)
        most = frames.get("maximum") or frames.get("default")
        if rate is None or not isinstance(most, int | float) or most < rate:
            return ""
        return f"up to about {_rounded(most / rate)} seconds"

    def _fineness(self) -> str:
        choices = self._inputs.get("resolution", {}).get("enum", ())
        known = [found for c in choices if (found := _PIXELS.match(str(c).lower()))]
        if known:
            best = max(known, key=_lines)[0].replace("k", "K")
            return best if len(known) == 1 else f"up to {best}"
        named = _RESOLUTION.search(self._path)
        return named[1].replace("k", "K") if named else ""

    def _sound(self) -> str:
        param = next((self._inputs[n] for n in _SOUND if n in self._inputs), None)
        if param is None:
            return ""
        return "with sound" if param.get("default") else "with sound if asked"

    def _factor(self) -> str:
        param = self._inputs.get("upscale_factor") or self._inputs.get("upscaling_factor") or {}
        choices = [n for n in param.get("enum", ()) if isinstance(n, int)]
        most = param.get("maximum") or max(choices, default=0)
        return f"up to {_rounded(most)} times as wide" if most > 1 else ""

    def _choices(self, what: str, names: tuple[str, ...]) -> str:
        counts = (len(self._inputs[n].get("enum", ())) for n in names if n in self._inputs)
        count = next((count for count in counts if count > 2), 0)
        return f"{count} {what}" if count else ""


class _Places(dict[str, str]):
    """Asks a line for what a deed leaves open, and only for that."""

    def __init__(self, traits: Traits) -> None:
        super().__init__()
        self._traits = traits

    def __missing__(self, place: str) -> str:
        found: str = getattr(self._traits, place)()
        return found


def _without(name: str) -> str:
    """Take from a name what says only what is made of what."""
    words = _HOLLOW.sub(" ", _CHANGE.sub(" ", name)).split()
    return " ".join(words).strip(" -:")


def _fitting(rules: tuple[tuple[str, str], ...], text: str, usual: str) -> str:
    return next((words for rule, words in rules if re.search(rule, text)), usual)


def _lines(found: re.Match[str]) -> float:
    """Return the height in pixels that `1080p` or `4K` stands for."""
    return float(found[1]) * (1 if found[2] == "p" else 540)


def _span(param: Line) -> str:
    """Return how many seconds an argument lets one choose: `5 or 10 seconds`."""
    told = (_NUMBER.search(str(choice)) for choice in param.get("enum", ()))
    choices = sorted({float(found[0]) for found in told if found})
    if choices:
        return _chosen(choices)
    low, high = param.get("minimum"), param.get("maximum")
    if high is None:
        return ""
    if high > 120:
        return f"up to {_rounded(high / 60)} minutes"
    return (
        f"{_rounded(low)} to {_rounded(high)} seconds" if low else f"up to {_rounded(high)} seconds"
    )


def _chosen(choices: list[float]) -> str:
    words = [_rounded(choice) for choice in choices]
    if len(words) > 3:
        return f"{words[0]} to {words[-1]} seconds"
    *most, last = words
    return f"{', '.join(most)} or {last} seconds" if most else f"{last} seconds"


def _rounded(number: float) -> str:
    return f"{number:.0f}" if number >= 3 or float(number).is_integer() else f"{number:.1f}"
