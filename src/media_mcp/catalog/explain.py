"""Faults of arguments in words: what is wrong, what was given, and the nearest that is right."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from jsonschema_rs import ValidationError

from media_mcp.catalog.forms import is_number, number_of, sides_of, size_text, text_of
from media_mcp.catalog.model import Param
from media_mcp.catalog.sizes import PRESETS
from media_mcp.errors import Problem, did_you_mean
from media_mcp.job import JSON

_LISTED = 20  # choices that a message names
_DIGITS = re.compile(r"-?\d+(\.\d+)?")
_PAIR = re.compile(r"\s*(\d{1,5})\s*[xX×*,]\s*(\d{1,5})\s*(?:px)?\s*")
_RATIO = re.compile(r"\s*(\d{1,3})\s*[:/]\s*(\d{1,3})\s*")
_BOUNDS = {
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
    "exclusiveMinimum": "must be more than {}",
    "exclusiveMaximum": "must be less than {}",
    "multipleOf": "must be a multiple of {}",
    "maxLength": "must be at most {} characters long",
    "minLength": "must be at least {} characters long",
    "maxItems": "must have at most {} items",
    "minItems": "must have at least {} items",
}


def explain(error: ValidationError, schema: Mapping[str, JSON]) -> Iterator[Problem]:
    """Say one error of the compiled schema, with the full path of the argument."""
    kind, details = error.kind.name, error.kind.as_dict()
    place = _path(error.instance_path)
    part = _part(schema, error.instance_path)
    if kind == "required":
        missing = details["property"]
        about = part["properties"].get(missing, {}).get("description", "")
        yield Problem(_join(place, missing), f"is required. {about}".strip())
    elif kind == "additionalProperties":
        for name in details["unexpected"]:
            yield Problem(_join(place, name[:80]), _unknown(name, list(part["properties"])))
    else:
        yield Problem(place or "arguments", _sentence(error, kind, details, part))


def form_problems(
    params: Iterable[Param], given: Mapping[str, JSON], place: str = ""
) -> Iterator[Problem]:
    """Say what a schema cannot say of sizes and of numbers that are written as text."""
    for param in params:
        if param.name in given:
            yield from _form_problems(param, given[param.name], _join(place, param.name))


def _form_problems(param: Param, value: JSON, place: str) -> Iterator[Problem]:
    if isinstance(value, list) and param.items is not None:
        for number, one in enumerate(value):
            yield from _form_problems(param.items, one, f"{place}[{number}]")
    elif isinstance(value, dict):
        yield from form_problems(param.properties, value, place)
    elif isinstance(value, str) and param.form:
        words = _wrong_size(param, value) if param.form == "size" else _wrong_number(param, value)
        if words:
            yield Problem(place, words)


def _wrong_size(param: Param, size: str) -> str:
    presets = [str(preset) for preset in param.enum]
    if size in presets:
        return ""
    sides = sides_of(size) if size not in PRESETS else None
    if sides is None:
        choices = f"one of {', '.join(map(_shown, presets))}, or " if presets else ""
        wrong = f"must be {choices}a size like 1280x720, but {_shown(size)} was given."
        return f"{wrong} {_near_size(size, presets)}".strip()
    nearest = "x".join(str(_fitting(param, side)) for side in sides)
    if nearest == size:
        return ""
    return f"{_size_rule(param)}, but {size} was given. The nearest is {nearest}."


def _size_rule(param: Param) -> str:
    low, high = param.minimum or 1, param.maximum
    between = f"from {text_of(low)} to {text_of(high)}" if high else f"at least {text_of(low)}"
    step = f" and a multiple of {text_of(param.multiple_of)}" if param.multiple_of else ""
    return f"must have sides {between}{step} pixels"


def _fitting(param: Param, side: int) -> int:
    """Return the nearest side that a size may have."""
    low, high = int(param.minimum or 1), int(param.maximum or 99_999)
    side = min(max(side, low), high)
    if not param.multiple_of or side % param.multiple_of == 0:
        return side
    step = int(param.multiple_of)
    return min(max(round(side / step) * step, -(-low // step) * step), high // step * step)


def _near_size(given: str, presets: Sequence[str]) -> str:
    if pair := _PAIR.fullmatch(given):
        return f'Write "{int(pair[1])}x{int(pair[2])}".' if int(pair[1]) and int(pair[2]) else ""
    if ratio := _RATIO.fullmatch(given):
        wanted = int(ratio[1]) / max(int(ratio[2]), 1)
        shapes = {name: PRESETS[name][0] / PRESETS[name][1] for name in presets if name in PRESETS}
        near = min(shapes, key=lambda name: abs(shapes[name] - wanted), default="")
        return f"The nearest is {_shown(near)}." if near else ""
    return _nearest(given, presets)


def _wrong_number(param: Param, text: str) -> str:
    number = number_of(text)
    if number is None:
        return ""
    for bound, words in ((param.minimum, "at least"), (param.maximum, "at most")):
        over = bound is not None and (number < bound if words == "at least" else number > bound)
        if bound is not None and over:
            return f"must be {words} {text_of(bound)}, but {_shown(text)} was given."
    return ""


def _unknown(name: str, known: Sequence[str]) -> str:
    near = did_you_mean(name, known)
    others = f"Known arguments: {', '.join(known)}." if known else "There are none."
    return f"is not an argument here. {near or others}"


def _sentence(error: ValidationError, kind: str, details: Mapping[str, Any], part: Any) -> str:
    value = error.instance
    given = f"but {_shown(value)} was given."
    if kind == "type":
        return f"must be of type {_types(details)}, {given} {_tip(value, part)}".strip()
    if kind == "enum":
        options = details["options"]
        return f"must be one of {_choices(options)}, {given} {_nearest(value, options)}".strip()
    if kind not in _BOUNDS:
        return f"{error.message}."
    limit = next(iter(details.values()))
    words = f"{_BOUNDS[kind].format(_shown(_short(limit)))}, {given}"
    return f"{words} {_multiple(value, limit, part)}".strip() if kind == "multipleOf" else words


def _tip(value: JSON, part: Mapping[str, JSON]) -> str:
    """Say how a value of the wrong type is meant to be given, where that can be known."""
    tips = {
        "string": _text_tip,
        "integer": _number_tip,
        "number": _number_tip,
        "boolean": _boolean_tip,
        "array": _array_tip,
        "object": _object_tip,
    }
    tip = tips.get(str(part.get("type")))
    return tip(value, part) if tip else ""


def _text_tip(value: JSON, part: Mapping[str, JSON]) -> str:
    if isinstance(value, dict):
        size = size_text(value) if "pattern" in part else ""
        return f'Give "{size}".' if size else ""
    if isinstance(value, list):
        one = len(value) == 1 and isinstance(value[0], str)
        return f"Give {_shown(value[0])} alone, not in a list." if one else "Give one text."
    text = text_of(value) if is_number(value) else _shown(value)
    options = part.get("enum", [text])
    return f"Give it in quotes: {_shown(text)}." if text in options else _nearest(value, options)


def _number_tip(value: JSON, part: Mapping[str, JSON]) -> str:
    if type(value) is float and is_number(value):
        return f"The nearest is {round(value)}."
    number = _numeric(value) if isinstance(value, str) else None
    if number is None:
        return ""
    number = round(number) if part["type"] == "integer" else number
    return f"Give {text_of(number)}, without quotes."


def _boolean_tip(value: JSON, part: Mapping[str, JSON]) -> str:
    meant = {"true": "true", "yes": "true", "1": "true", "on": "true"}
    meant |= {"false": "false", "no": "false", "0": "false", "off": "false"}
    known = meant.get(str(value).strip().lower())
    return f"Give {known}, without quotes." if known else "Give true or false."


def _array_tip(value: JSON, part: Mapping[str, JSON]) -> str:
    if _is_json(value, list):
        return "Give the list itself, not its text."
    fits = isinstance(value, str) and part["items"].get("type") == "string"
    return f"Give a list: [{_shown(value)}]." if fits else "Give a list."


def _object_tip(value: JSON, part: Mapping[str, JSON]) -> str:
    if _is_json(value, dict):
        return "Give the object itself, not its text."
    names = ", ".join(part.get("properties", {}))
    return f"Give an object with {names}." if names else "Give an object."


def _is_json(value: JSON, kind: type) -> bool:
    try:
        return isinstance(value, str) and isinstance(json.loads(value), kind)
    except (ValueError, RecursionError):
        return False


def _multiple(value: Any, step: float, part: Mapping[str, JSON]) -> str:
    """Return the nearest multiple of `step` within the bounds, in a sentence."""
    if not is_number(value):
        return ""
    low, high = part.get("minimum", value), part.get("maximum", value)
    nearest = round(min(max(value, low), high) / step) * step
    nearest += step if nearest < low and low != value else 0
    nearest -= step if nearest > high and high != value else 0
    return f"The nearest is {_shown(_short(nearest))}."


def _nearest(value: JSON, options: Sequence[JSON]) -> str:
    """Return the option that was most likely meant, in a sentence; empty if none is near."""
    plain = {_plain(option): option for option in options}
    if _plain(value) in plain:
        return f"Did you mean {_shown(plain[_plain(value)])}?"
    wanted = _numeric(value)
    numbers = {n: option for option in options if (n := _numeric(option)) is not None}
    if wanted is not None and numbers:
        near = min(numbers, key=lambda n: abs(n - wanted))
        shown = _shown(numbers[near])
        return f"Did you mean {shown}?" if near == wanted else f"The nearest is {shown}."
    close = get_close_matches(_plain(value), list(plain), n=1, cutoff=0.5)
    return f"Did you mean {_shown(plain[close[0]])}?" if close else ""


def _plain(value: JSON) -> str:
    return re.sub(r"[^a-z0-9.:]+", "", str(value).lower())


def _numeric(value: JSON) -> float | None:
    """Return the number in `5`, `8s` or `720p`."""
    if is_number(value):
        return float(value)
    found = _DIGITS.match(value.strip()) if isinstance(value, str) else None
    rest = value.strip()[found.end() :] if found else ""
    return float(found[0]) if found and len(rest) <= 3 and rest.isalpha() | (not rest) else None


def _choices(options: Sequence[JSON]) -> str:
    shown = ", ".join(map(_shown, options[:_LISTED]))
    return shown if len(options) <= _LISTED else f"{shown}, … ({len(options)} in all)"


def _types(details: Mapping[str, Any]) -> str:
    types = next(iter(details.values()))
    return types if isinstance(types, str) else " or ".join(types)


def _part(schema: Mapping[str, Any], path: Iterable[Any]) -> Any:
    """Return the part of a schema that describes what stands at a path."""
    part: Any = schema
    for key in path:
        inner = part.get("items") if isinstance(key, int) else part.get("properties", {}).get(key)
        part = inner or {}
    return part


def _path(parts: Iterable[Any]) -> str:
    path = ""
    for part in parts:
        path = f"{path}[{part}]" if isinstance(part, int) else _join(path, str(part))
    return path


def _join(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _short(number: float) -> float:
    return int(number) if float(number).is_integer() else number


def _shown(value: JSON) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}…"
