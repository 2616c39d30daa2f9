"""Faults of an input as fal's clients know them: where, what, of which type, with which bound."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from media_mcp.catalog.model import Model, Param
from media_mcp.errors import Problem
from media_mcp.job import JSON, MediaKind, Route

Kind: TypeAlias = tuple[str, dict[str, JSON]]
DOCS = "https://docs.fal.ai/errors/#"
LONGEST_ECHO = 300  # characters of a value that are sent back
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_TYPES: Mapping[str, tuple[str, tuple[type, ...]]] = {
    "string": ("string_type", (str,)),
    "integer": ("int_type", (int,)),
    "number": ("float_type", (int, float)),
    "boolean": ("bool_type", (bool,)),
    "array": ("list_type", (list,)),
    "object": ("dict_type", (dict,)),
}
_BOUNDS = (
    ("minimum", operator.lt, "greater_than_equal", "ge"),
    ("maximum", operator.gt, "less_than_equal", "le"),
    ("exclusive_minimum", operator.le, "greater_than", "gt"),
    ("exclusive_maximum", operator.ge, "less_than", "lt"),
)
_UNREADABLE: Mapping[MediaKind, str] = {
    MediaKind.IMAGE: "image_load_error",
    MediaKind.VIDEO: "unsupported_video_format",
    MediaKind.AUDIO: "unsupported_audio_format",
}


def detail(
    place: Sequence[str | int], message: str, kind: str, ctx: Mapping[str, JSON], given: JSON
) -> dict[str, JSON]:
    """Return one entry of a `detail` list; `place` is where the value stands in the body."""
    entry: dict[str, JSON] = {
        "loc": ["body", *place],
        "msg": message,
        "type": kind,
        "url": f"{DOCS}{kind}",
    }
    return entry | ({"ctx": dict(ctx)} if ctx else {}) | {"input": shortened(given)}


def of_problems(
    problems: Iterable[Problem], model: Model, route: Route, given: Mapping[str, JSON]
) -> list[dict[str, JSON]]:
    """Return the entries for what is wrong with the arguments `given`, in the words of `route`."""
    return [_of_problem(problem, model, route, given) for problem in problems]


def of_media(
    message: str, model: Model, route: Route, given: Mapping[str, JSON]
) -> list[dict[str, JSON]]:
    """Return the entry for media that cannot be used; the message begins with their place."""
    field, _, words = message.partition(": ")
    steps = _steps(field)
    param = _param(model.inputs, steps)
    if param is None or not words:
        return [detail([], message, "file_download_error", {}, None)]
    value = _value(given, steps)
    kind = _UNREADABLE.get(param.media or MediaKind.FILE, "file_download_error")
    if isinstance(value, str) and value[:4].lower() == "http":
        kind = "file_download_error"
    return [detail(_on_wire(steps, route), words, kind, {}, value)]


def _of_problem(
    problem: Problem, model: Model, route: Route, given: Mapping[str, JSON]
) -> dict[str, JSON]:
    steps = _steps(problem.field)
    param = _param(model.inputs, steps)
    value = _value(given, steps)
    if param is None and value is None:  # about the body as a whole
        return detail([], f"{problem.field} {problem.message}", "value_error", {}, None)
    kind, ctx = _kind(param, value)
    whole = _value(given, steps[:-1]) if kind == "missing" else value
    return detail(_on_wire(steps, route), problem.message, kind, ctx, whole)


def _kind(param: Param | None, value: JSON) -> Kind:
    """Tell the type of the first rule of `param` that `value` breaks."""
    if param is None:
        return "extra_forbidden", {}
    if value is None:
        return "missing", {}
    name, types = _TYPES[param.type]
    if not isinstance(value, types) or (isinstance(value, bool) and param.type != "boolean"):
        return name, {}
    if param.enum and param.form != "size" and value not in param.enum:
        return "one_of", {"expected": list(param.enum)}
    return _bound(param, value) or ("value_error", {})


def _bound(param: Param, value: JSON) -> Kind | None:
    if isinstance(value, int | float):
        return _numeric(param, value)
    if not isinstance(value, str | list):
        return None
    most = param.max_length if isinstance(value, str) else param.max_items
    least = param.min_length if isinstance(value, str) else param.min_items
    if most is not None and len(value) > most:
        return "sequence_too_long", {"max_length": most}
    if least is not None and len(value) < least:
        return "sequence_too_short", {"min_length": least}
    return None


def _numeric(param: Param, value: float) -> Kind | None:
    for name, broken, kind, key in _BOUNDS:
        bound = getattr(param, name)
        if bound is not None and broken(value, bound):
            return kind, {key: bound}
    if param.multiple_of is not None:
        return "multiple_of", {"multiple_of": param.multiple_of}
    return None


def _steps(field: str) -> list[str | int]:
    """Split `loras[0].path` into its parts."""
    return [int(number) if number else name for name, number in _STEP.findall(field)]


def _param(params: Iterable[Param], steps: Sequence[str | int]) -> Param | None:
    found: Param | None = None
    for step in steps:
        if isinstance(step, int):
            found = found.items if found else None
        else:
            found = next((param for param in params if param.name == step), None)
        if found is None:
            return None
        params = found.properties
    return found


def _value(given: JSON, steps: Sequence[str | int]) -> JSON:
    for step in steps:
        if isinstance(step, int):
            given = given[step] if isinstance(given, list) and step < len(given) else None
        else:
            given = given.get(step) if isinstance(given, Mapping) else None
    return given


def _on_wire(steps: Sequence[str | int], route: Route) -> list[str | int]:
    """Return where a value stood in the body: a route may have a name of its own for it."""
    rule = (route.spec.get("map") or {}).get(steps[0]) if steps else None
    name = rule.get("to") if isinstance(rule, Mapping) else rule
    return [name, *steps[1:]] if isinstance(name, str) else list(steps)


def shortened(value: JSON, depth: int = 8) -> JSON:
    """Cut what is long or deep out of a value, so that it can be sent back and kept."""
    if isinstance(value, str):
        return value if len(value) <= LONGEST_ECHO else f"{value[: LONGEST_ECHO - 1]}…"
    if not isinstance(value, Mapping | list):
        return value
    if not depth:
        return "…"
    if isinstance(value, list):
        return [shortened(v, depth - 1) for v in value[:20]]
    return {str(k)[:100]: shortened(v, depth - 1) for k, v in list(value.items())[:50]}
