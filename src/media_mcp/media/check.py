"""Compares what a model made with what was asked for: kind, format, size, seconds, rate, number.

What was asked is read from the model's canonical arguments, as its prices are. Only what leaves no
choice counts: `auto`, a preset's own pixels, the length of an input are the model's to decide.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from media_mcp.catalog.model import Model, OutputSpec
from media_mcp.catalog.quantities import COUNTS, RATES, seconds
from media_mcp.catalog.sizes import FACTORS, PRESETS, RESOLUTIONS, SIZES, pixels, sides_of
from media_mcp.catalog.spans import Call, Span, Unsaid, automatic, number_of
from media_mcp.job import JSON, Asset, MediaKind
from media_mcp.media.facts import Facts

DRIFT = 0.1  # the share by which seconds may differ
SLACK = 0.2  # seconds: models round to whole groups of frames
RATE_DRIFT = 0.05  # 23.976 for 24
RATIO_DRIFT = 0.15  # sides are rounded to what a model can make
AREA_DRIFT = 1.9  # one step of resolution is 2.25 times the pixels
GRIDS = (2, 8, 16, 32, 64)  # pixels that models round sides to
FORMATS = ("output_format", "image_format", "audio_format", "video_format", "format")
EXPORT_RATES = ("export_fps", "output_fps")
SOUND = ("generate_audio", "with_audio", "enable_audio", "generate_audio_switch", "audio")
LOOSE = (MediaKind.FILE, MediaKind.MODEL3D)  # of kinds that no probe tells for sure
SEEN = (MediaKind.IMAGE, MediaKind.VIDEO)
HEARD = (MediaKind.AUDIO, MediaKind.VIDEO)
RATIO = re.compile(r"(\d{1,4}(?:\.\d+)?):(\d{1,4}(?:\.\d+)?)")
TYPES: Mapping[str, tuple[str, ...]] = {
    "png": ("image/png",),
    "jpeg": ("image/jpeg",),
    "jpg": ("image/jpeg",),
    "webp": ("image/webp",),
    "gif": ("image/gif",),
    "avif": ("image/avif",),
    "svg": ("image/svg+xml",),
    "mp4": ("video/mp4",),
    "webm": ("video/webm",),
    "mov": ("video/quicktime", "video/mp4"),
    "mp3": ("audio/mpeg",),
    "wav": ("audio/wav",),
    "flac": ("audio/flac",),
    "ogg": ("audio/ogg",),
    "opus": ("audio/ogg",),
    "m4a": ("audio/mp4",),
    "aac": ("audio/aac", "audio/mp4"),
    "glb": ("model/gltf-binary",),
    "srt": ("application/x-subrip",),
    "vtt": ("text/vtt",),
}
Made = tuple[str, Facts]  # the role of an output, and what its file is


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for, as far as it was. Pixels, seconds, frames per second; None: not said.

    `ratio` is width by height, `area` the pixels that a resolution comes to.
    """

    outputs: tuple[OutputSpec, ...] = ()
    size: tuple[float | None, float | None] = (None, None)
    ratio: float | None = None
    area: Span | None = None
    resolution: str = ""
    seconds: Span | None = None
    rate: float | None = None
    count: int | None = None
    format: str = ""
    quiet: bool = False
    kinds: Mapping[str, MediaKind] = field(default_factory=dict)


def read_wanted(model: Model, arguments: Mapping[str, JSON], inputs: Mapping[str, Asset]) -> Wanted:
    """Read what a call asks for; `arguments` hold every default, `inputs` its media by URI."""
    call = Call(model, arguments, inputs)
    seen = any(asset.kind in SEEN for asset in inputs.values())
    moving = any(asset.kind in HEARD for asset in inputs.values())
    stretched = _interpolated(arguments)
    size = _asked_size(call)
    return Wanted(
        outputs=model.outputs,
        size=size,
        ratio=None if seen or any(size) else _asked_ratio(call),
        area=None if any(size) else _asked_area(call),
        resolution=str(_first(call, RESOLUTIONS) or ""),
        seconds=None if moving or stretched else _asked_seconds(call),
        rate=None if moving or stretched else _asked_rate(call),
        count=_asked_count(call),
        format=_asked_format(call),
        quiet=any(arguments.get(name) is False for name in SOUND),
        kinds={output.role: output.kind for output in model.outputs},
    )


def compare(wanted: Wanted, made: Sequence[Made]) -> list[str]:
    """Return what differs from what was wanted, one sentence each."""
    found = _compare_count(wanted, made)
    for role, facts in made:
        for compared in (_kind, _format, _size, _shape, _length, _rate):
            found += compared(wanted, role, facts)
    return list(dict.fromkeys(found))


# What was asked


def _first(call: Call, names: Sequence[str]) -> JSON:
    values = (call.value(name) for name in names)
    return next((value for value in values if value is not None and not automatic(value)), None)


def _number(call: Call, names: Sequence[str]) -> float | None:
    number = number_of(_first(call, names))
    return number if number and number > 0 else None


def _asked_size(call: Call) -> tuple[float | None, float | None]:
    if (_number(call, FACTORS) or 1) != 1:
        return (None, None)
    named = _first(call, SIZES)
    if named is not None:
        side = number_of(named)
        if side is not None and not call.has("aspect_ratio"):
            return (side, side)
        sides = None if str(named) in PRESETS else sides_of(named)
        return sides or (None, None)
    return (_number(call, ("width",)), _number(call, ("height",)))


def _asked_ratio(call: Call) -> float | None:
    preset = PRESETS.get(str(_first(call, SIZES)))
    if preset:
        return preset[0] / preset[1]
    match = RATIO.fullmatch(str(call.value("aspect_ratio")))
    if match is None or not float(match[1]) or not float(match[2]):
        return None
    return float(match[1]) / float(match[2])


def _asked_area(call: Call) -> Span | None:
    if not re.fullmatch(r"\d{1,4}[pk]", str(_first(call, RESOLUTIONS)).lower()):
        return None
    try:
        return None if _first(call, SIZES) is not None else pixels(call)
    except Unsaid:
        return None


def _interpolated(arguments: Mapping[str, JSON]) -> bool:
    """Whether frames are put in between, so that seconds and rate come out otherwise."""
    values = (value for name, value in arguments.items() if "interpol" in name)
    return any(value not in (None, False, 0, "none", "forward", "backward") for value in values)


def _asked_seconds(call: Call) -> Span | None:
    try:
        found = seconds(call)
    except Unsaid:
        return None
    return found if found.low > 0 and found.high / found.low < 1 + DRIFT else None


def _asked_rate(call: Call) -> float | None:
    return _number(call, EXPORT_RATES) or _number(call, RATES)


def _asked_count(call: Call) -> int | None:
    number = None if call.has("max_images") else _number(call, COUNTS)
    return None if number is None else int(number)


def _asked_format(call: Call) -> str:
    """Return the first word of the format that is known: `mp4` of `X264 (.mp4)`."""
    words = re.findall(r"[a-z0-9]+", str(_first(call, FORMATS)).lower())
    return next((word for word in words if word in TYPES), "")


# What came of it


def _compare_count(wanted: Wanted, made: Sequence[Made]) -> list[str]:
    main = wanted.outputs[0] if wanted.outputs else None
    if wanted.count is None or main is None or (main.shape == "file" and wanted.count > 1):
        return []
    got = sum(role == main.role for role, _ in made)
    if got == wanted.count:
        return []
    return [f"{wanted.count} outputs ({main.role}) were asked for; {got} came."]


def _kind(wanted: Wanted, role: str, facts: Facts) -> list[str]:
    kind = wanted.kinds.get(role)
    if kind is None or kind is facts.kind or kind in LOOSE or _as_asked(wanted, facts):
        return []
    return [f"The output is of kind {facts.kind} ({facts.mime_type}), not {kind}."]


def _as_asked(wanted: Wanted, facts: Facts) -> bool:
    return facts.mime_type in TYPES.get(wanted.format, ())


def _format(wanted: Wanted, role: str, facts: Facts) -> list[str]:
    types = TYPES.get(wanted.format, ())
    spec = next((output for output in wanted.outputs if output.role == role), None)
    if not types and spec is not None and spec.mime_type == "image/svg+xml":
        types = TYPES["svg"]
    alike = types and types[0].partition("/")[0] == facts.mime_type.partition("/")[0]
    if not alike or facts.mime_type in types:
        return []
    return [f"The output is {facts.mime_type}; {wanted.format or 'svg'} was asked for."]


def _size(wanted: Wanted, role: str, facts: Facts) -> list[str]:
    found = []
    for name, asked, got in zip(
        ("width", "height"), wanted.size, (facts.width, facts.height), strict=True
    ):
        if asked and got and facts.kind in SEEN and not _rounded(asked, got):
            found.append(f"The {name} is {got} px; {asked:g} px were asked for.")
    return found


def _rounded(asked: float, got: int) -> bool:
    """Whether `got` is what was asked, or that in a grid which it does not fit."""
    steps = (grid for grid in GRIDS if got % grid == 0 and asked % grid)
    return asked == got or any(abs(asked - got) < grid for grid in steps)


def _shape(wanted: Wanted, role: str, facts: Facts) -> list[str]:
    if facts.kind not in SEEN or not facts.width or not facts.height:
        return []
    size, got = f"{facts.width}x{facts.height}", facts.width / facts.height
    if wanted.ratio and not 1 - RATIO_DRIFT < got / wanted.ratio < 1 / (1 - RATIO_DRIFT):
        asked = f"{wanted.ratio:.2f}".rstrip("0").rstrip(".")
        return [f"The shape is {size}, {got:.2f} to 1; {asked} to 1 was asked for."]
    area = facts.width * facts.height
    if wanted.area is None or facts.extension == "svg":
        return []
    if wanted.area.low / AREA_DRIFT <= area <= wanted.area.high * AREA_DRIFT:
        return []
    return [f"The size is {size}; {wanted.resolution} was asked for."]


def _length(wanted: Wanted, role: str, facts: Facts) -> list[str]:
    span, got = wanted.seconds, facts.duration
    if span is None or got is None or facts.kind not in HEARD:
        return []
    if span.low * (1 - DRIFT) - SLACK <= got <= span.high * (1 + DRIFT) + SLACK:
        return []
    return [f"The duration is {got:.2f} s; {span.words()} s were asked for."]


def _rate(wanted: Wanted, role: str, facts: Facts) -> list[str]:
    asked, got = wanted.rate, facts.fps
    if not asked or not got or facts.kind is not MediaKind.VIDEO:
        return []
    if abs(got - asked) <= RATE_DRIFT * asked:
        return []
    return [f"The video has {got:g} frames a second; {asked:g} were asked for."]
