"""How much a call makes and takes: pictures, seconds, characters, frames, tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import ceil

from media_mcp.catalog.model import Param
from media_mcp.catalog.sizes import height, input_sizes, pixels
from media_mcp.catalog.spans import Call, Span, Unsaid, number_of
from media_mcp.job import JSON, MediaKind

COUNTS = (
    "num_images",
    "number_of_images",
    "num_videos",
    "num_outputs",
    "num_samples",
    "num_results",
    "num_songs",
)
SECONDS = (
    "duration",
    "duration_seconds",
    "seconds",
    "seconds_total",
    "total_seconds",
    "video_length",
    "video_duration",
    "audio_duration",
    "music_duration",
    "extend_duration",
    "append_duration",
)
FRAMES = ("num_frames", "number_of_frames")
RATES = ("fps", "frames_per_second", "frame_rate", "target_fps")
STEPS = ("num_inference_steps", "steps", "number_of_steps", "num_steps")
TEXTS = ("text", "script", "input", "text_input", "gen_text", "inputs", "dialogue", "prompt")
LIKE_INPUT = ("match_video_length", "match_audio_length", "match_input_num_frames")
TOKEN_RATE = 24.0  # frames a second of the models that are billed by video token
MEGA = 1e6
WHOLE_MEGA = (2.0**20, 1e6)  # 1024x1024 is one megapixel or a little more, as one counts


def images(call: Call) -> Span:
    """Return how many pictures, clips or sounds a call makes."""
    count = call.number(*COUNTS) or Span.exactly(1)
    most = call.number("max_images") if call.has("max_images") else None
    return count.times(Span(1, max(1, most.high))) if most else count


def once(call: Call) -> Span:
    """Return one: what is paid by the call."""
    return Span.exactly(1)


def seconds(call: Call) -> Span:
    """Return the seconds of each clip or sound that a call makes. Raises `Unsaid`."""
    if (shots := _shots(call)) is not None:
        return shots
    if not any(call.value(name) is True for name in LIKE_INPUT):
        for read in (_asked_seconds, _frame_seconds):
            if (found := read(call)) is not None:
                return found
    return _input_seconds(call)


def frames(call: Call) -> Span:
    """Return the frames of each clip. Raises `Unsaid`."""
    if (found := call.number(*FRAMES)) is None:
        raise Unsaid("how many frames it makes")
    return found


def fps(call: Call) -> Span:
    """Return the frames of a second. Raises `Unsaid`."""
    if (found := call.number(*RATES)) is None:
        raise Unsaid("how many frames a second has")
    return found


def megapixels(call: Call) -> Span:
    return pixels(call).by(MEGA)


def started_megapixels(call: Call) -> Span:
    """Return whole megapixels, rounded up."""
    low, high = (pixels(call).by(mega) for mega in WHOLE_MEGA)
    return Span(low.rounded_up().low, high.rounded_up().high)


def all_megapixels(call: Call) -> Span:
    """Return the megapixels of what comes in and of what comes out."""
    return megapixels(call).plus(Span.exactly(sum(input_sizes(call)) / MEGA))


def started_in_all(call: Call) -> Span:
    """Return the megapixels of what comes in and goes out, each picture rounded up."""
    low, high = (_started(input_sizes(call), mega) for mega in WHOLE_MEGA)
    return started_megapixels(call).plus(Span(low, high))


def _started(sizes: Iterable[float], mega: float) -> float:
    return float(sum(ceil(size / mega) for size in sizes))


def video_tokens(call: Call) -> Span:
    """Return width x height x frames a second x seconds / 1024."""
    rate = fps(call) if any(map(call.has, RATES)) else Span.exactly(TOKEN_RATE)
    return pixels(call).times(rate).times(seconds(call)).by(1024)


def steps(call: Call) -> Span:
    if (found := call.number(*STEPS)) is None:
        raise Unsaid("how many steps it takes")
    return found


def characters(call: Call) -> Span:
    """Return the length of the text that is spoken. Raises `Unsaid`."""
    param = next((found for name in TEXTS if (found := call.model.param(name))), None)
    if param is None:
        raise Unsaid("how much text it is")
    value = call.value(param.name)
    return Span.exactly(_length(value)) if value is not None else _allowed_length(param)


QUANTITIES: Mapping[str, Callable[[Call], Span]] = {
    "seconds": seconds,
    "megapixels": megapixels,
    "height": height,
    "characters": characters,
    "images": images,
    "fps": fps,
}


def _shots(call: Call) -> Span | None:
    """Return the sum of the shots of a clip that is asked for shot by shot."""
    shots = call.value("multi_prompt")
    if not isinstance(shots, list) or not shots:
        return None
    lengths = [number_of(shot.get("duration")) for shot in shots if isinstance(shot, Mapping)]
    known = [length for length in lengths if length is not None]
    return Span.exactly(sum(known)) if len(known) == len(shots) else None


def _asked_seconds(call: Call) -> Span | None:
    if _overruled(call):
        return None
    if (found := call.number(*SECONDS)) is not None:
        return found
    milliseconds = call.number("music_length_ms")
    return milliseconds.by(1000) if milliseconds else None


def _overruled(call: Call) -> bool:
    """Whether frames were given that count instead of the seconds: they have no default."""
    params = [param for name in FRAMES if (param := call.model.param(name))]
    return any(p.default is None and call.value(p.name) is not None for p in params)


def _frame_seconds(call: Call) -> Span | None:
    given = any(call.value(name) is not None for name in FRAMES)
    if (not given and _moving(call)) or (count := call.number(*FRAMES)) is None:
        return None
    rate = fps(call)
    return Span(count.low / rate.high, count.high / max(rate.low, 1.0))


def _input_seconds(call: Call) -> Span:
    params = _moving(call)
    spans = [_length_of(call, p) for p in params if p.required or call.value(p.name)]
    if not spans:
        raise Unsaid(f"the length of {params[0].name}" if params else "how long it is")
    return Span.around(spans)


def _moving(call: Call) -> list[Param]:
    """Return the inputs that have a length."""
    return [p for p in call.media(MediaKind.VIDEO, MediaKind.AUDIO) if p.role != "mask"]


def _length_of(call: Call, param: Param) -> Span:
    missing = f"the length of {param.name}"
    try:
        lengths = [asset.duration for asset in call.assets(param, missing)]
        known = [length for length in lengths if length is not None]
        if len(known) < len(lengths):
            raise Unsaid(missing)
        return Span.exactly(sum(known))
    except Unsaid:
        if (most := param.limits.get("max_duration")) is None:
            raise
        return Span(param.limits.get("min_duration", 0.0), most)


def _length(value: JSON) -> int:
    """Return the characters of a text, or of the `text` of every line of a dialogue."""
    if isinstance(value, list):
        return sum(_length(one) for one in value)
    if isinstance(value, Mapping):
        return _length(value.get("text", ""))
    return len(value) if isinstance(value, str) else 0


def _allowed_length(param: Param) -> Span:
    if param.max_length is None or param.type != "string":
        raise Unsaid(f"the length of {param.name}")
    return Span(param.min_length or 0, param.max_length)
