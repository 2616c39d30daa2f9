"""Values that a route writes in another form than we do: sizes, and numbers that may be words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal

from media_mcp.catalog.model import Form, Param
from media_mcp.catalog.sizes import PRESETS
from media_mcp.job import JSON

SIDES = r"[1-9][0-9]{0,4}x[1-9][0-9]{0,4}"
_SIDES = re.compile(SIDES)
_LARGEST = 2**64
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")


def sides_of(size: JSON) -> tuple[int, int] | None:
    """Return width and height in pixels of `1280x720` or a known preset, None for all else."""
    if not isinstance(size, str):
        return None
    if _SIDES.fullmatch(size):
        width, height = map(int, size.split("x"))
        return width, height
    return PRESETS.get(size)


def number_of(text: str) -> int | float | None:
    """Return the number that a text is, if writing it again gives the same text."""
    if not _NUMBER.fullmatch(text):
        return None
    number = float(text) if "." in text else int(text)
    return number if text_of(number) == text else None


def text_of(number: float) -> str:
    """Write a number without an exponent or needless digits."""
    whole = float(number).is_integer()
    return str(int(number)) if whole else format(Decimal(repr(number)), "f")


def to_form(form: Form, value: JSON) -> JSON:
    """Write a value of ours as a route takes it."""
    if not isinstance(value, str):
        return value
    if form == "size" and _SIDES.fullmatch(value):
        width, height = map(int, value.split("x"))
        return {"width": width, "height": height}
    number = number_of(value) if form == "number" else None
    return value if number is None else number


def from_form(form: Form, value: JSON) -> JSON:
    """Read a value as a route takes it; what does not fit stays as it is."""
    if form == "size" and isinstance(value, dict):
        return size_text(value) or value
    if form == "number" and is_number(value):
        return text_of(value)
    return value


def size_text(size: Mapping[str, JSON]) -> str:
    """Write `{width, height}` as `1280x720`; empty if it is anything else."""
    width, height = size.get("width"), size.get("height")
    right = len(size) == 2 and type(width) is int and type(height) is int
    return f"{width}x{height}" if right else ""


def written(param: Param, value: JSON) -> JSON:
    """Write an argument, and what is nested in it, as a route takes it."""
    return _nested(param, value, to_form)


def read(param: Param, value: JSON) -> JSON:
    """Read an argument, and what is nested in it, as a route takes it."""
    return _nested(param, value, from_form)


def _nested(param: Param, value: JSON, leaf: Callable[[Form, JSON], JSON]) -> JSON:
    if isinstance(value, list) and param.items is not None:
        return [_nested(param.items, one, leaf) for one in value]
    if isinstance(value, dict) and param.properties:
        known = {one.name: one for one in param.properties}
        return {
            name: _nested(known[name], one, leaf) if name in known else one
            for name, one in value.items()
        }
    return leaf(param.form, value)


def is_number(value: JSON) -> bool:
    """Whether a value is a number that can be reckoned with: not endless, not of 400 digits."""
    return type(value) in (int, float) and abs(value) <= _LARGEST
