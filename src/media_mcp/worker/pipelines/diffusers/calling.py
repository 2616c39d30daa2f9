"""Says a job in the words of a pipeline's class: names, sizes, frames, media."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from media_mcp.errors import InvalidArguments, Problem
from media_mcp.worker.pipelines.diffusers import fitting, sizes
from media_mcp.worker.pipelines.diffusers.inputs import Pace, opened
from media_mcp.worker.pipelines.diffusers.outputs import sound_rate
from media_mcp.worker.pipelines.diffusers.words import (
    REQUIRED,
    accepted,
    in_its_words,
    in_our_words,
)
from media_mcp.worker.work import Work

FPS = 24.0
SIZE = ("width", "height")
TABLE = ("resolution", "aspect_ratio")
_QUOTED = re.compile(r"[`'](\w+)[`']")
_ELSEWHERE = frozenset(  # read by others than the pipeline's call
    {"loras", "format", "output_format", "output_quality", "video_output_type", "video_quality"}
)


@dataclass(slots=True)
class Call:
    """What a pipeline is called with; which arguments it has no place for; what was made of sizes
    and frames that it cannot make; `size` is (width, height) as asked, `fps` of clips."""

    kwargs: dict[str, Any]
    takes: Mapping[str, Any]
    fps: float = FPS
    size: tuple[int, int] | None = None
    ignored: tuple[str, ...] = ()
    changed: list[str] = field(default_factory=list)


def plan_call(work: Work, pipe: Any) -> Call:
    """Say `work` in the words of `pipe`, media opened.

    Raises `InvalidArguments` for what is missing or too much, `BadMedia` for a file that is not
    what it should be.
    """
    takes = accepted(pipe)
    call = Call(in_its_words(work.run.call, takes), takes)
    _set_pace(work, pipe, call)
    pace = Pace(call.fps, call.kwargs.get("num_frames") or 1000, sound_rate(pipe))
    call.kwargs = opened(work, call.kwargs, pace)
    _set_size(work, pipe, call)
    fitting.fit(work, pipe, call)
    _part(work, pipe, call)
    return call


def _set_pace(work: Work, pipe: Any, call: Call) -> None:
    """Settle frames a second and how many frames, of which a class makes n * k + 1."""
    spec, kwargs, takes = work.run.spec, call.kwargs, call.takes
    rate = next((name for name in ("frame_rate", "fps") if name in takes), "")
    told = (kwargs.get(rate), spec.get("fps"), takes.get(rate))
    call.fps = float(next((one for one in told if _is_number(one) and one > 0), FPS))
    if rate and spec.get("fps"):
        kwargs.setdefault(rate, spec["fps"])
    if "num_frames" not in takes:
        return
    seconds = kwargs.pop("duration", None) if "duration" not in takes else None
    if "num_frames" not in kwargs and _is_number(seconds) and seconds:
        kwargs["num_frames"] = sizes.nearest(round(seconds * call.fps), sizes.frame_step(pipe), 1)
    if _is_number(kwargs.get("num_frames")):
        kwargs["num_frames"] = _frames(work, pipe, call, int(kwargs["num_frames"]))


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _frames(work: Work, pipe: Any, call: Call, wanted: int) -> int:
    step, most = sizes.frame_step(pipe), sizes.most_frames(pipe, work.run.spec)
    if most and wanted > most:
        raise _wrong(
            work,
            "num_frames",
            f"{wanted} frames are too many; {type(pipe).__name__} makes up to {most} "
            f"({most / call.fps:g} s at {call.fps:g} a second).",
        )
    frames = sizes.nearest(wanted, step, 1) if step > 1 else max(1, wanted)
    if frames != wanted:
        call.changed.append(f"{frames} frames instead of {wanted}")
    return frames


def _set_size(work: Work, pipe: Any, call: Call) -> None:
    """Settle width and height: the call's, the card's table's or a picture's, in multiples."""
    kwargs, spec = call.kwargs, work.run.spec
    if table := spec.get("sizes"):
        resolution, ratio = (kwargs.pop(name, None) for name in TABLE)
        picture = fitting.first_size(kwargs)
        kwargs |= _sides(sizes.from_table(table, resolution, ratio, picture))
    if not all(side in call.takes for side in SIZE):
        return
    if not any(kwargs.get(side) for side in SIZE):
        kwargs |= _sides(fitting.canvas(pipe, call))
    if not all(_is_number(kwargs.get(side)) for side in SIZE):
        return
    call.size = (int(kwargs["width"]), int(kwargs["height"]))
    multiple = sizes.side_multiple(pipe)
    kwargs |= _sides((sizes.nearest(call.size[0], multiple), sizes.nearest(call.size[1], multiple)))
    if "max_area" in call.takes:  # else Kontext scales what is asked for to a megapixel
        kwargs.setdefault("max_area", kwargs["width"] * kwargs["height"])


def _sides(size: tuple[int, int] | None) -> dict[str, int]:
    return dict(zip(SIZE, size, strict=True)) if size else {}


def _part(work: Work, pipe: Any, call: Call) -> None:
    """Part what the class takes from what it does not, and see that nothing is missing."""
    given = call.kwargs
    call.kwargs = {name: value for name, value in given.items() if name in call.takes}
    left = given.keys() - call.kwargs.keys() - _ELSEWHERE
    call.ignored = tuple(sorted(name for name in left if given[name] not in (None, False, "", [])))
    for name, default in call.takes.items():
        if default is REQUIRED and call.kwargs.get(name) is None:
            raise _wrong(work, name, f"{type(pipe).__name__} cannot do without it.")


def _wrong(work: Work, word: str, words: str) -> InvalidArguments:
    field = in_our_words(work.run.spec, work.run.arguments, word)
    return InvalidArguments([Problem(field, words)], "Change it and call again.")


@contextmanager
def readable_refusals(work: Work) -> Iterator[None]:
    """Make what a class says of its arguments, before it computes, the caller's to mend."""
    try:
        yield
    except ValueError as error:
        if not _is_of_checks(error):
            raise
        said = str(error).strip().splitlines()[0][:300] if str(error).strip() else "are not right"
        words = [word for word in _QUOTED.findall(said) if word in work.run.call]
        raise _wrong(work, words[0] if words else "arguments", said) from error


def _is_of_checks(error: BaseException) -> bool:
    """Whether a class raised `error` while it looked at its arguments."""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_name == "check_inputs":
            return True
        trace = trace.tb_next
    return False
