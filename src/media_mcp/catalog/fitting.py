"""Whether a default satisfies the argument that it belongs to."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from media_mcp.catalog.forms import SIDES
from media_mcp.job import JSON

Facts = Mapping[str, Any]

LARGEST = 2.0**53  # whole numbers from here on are not exact in JSON

_SIDES = re.compile(SIDES)


def fits(param: Facts, value: JSON) -> bool:
    """Whether `value` satisfies `param`, a `Param` in JSON."""
    return _CHECKS[param["type"]](param, value)


def _text_fits(param: Facts, value: JSON) -> bool:
    if not isinstance(value, str):
        return False
    if param.get("form") == "size" and _SIDES.fullmatch(value):
        return all(_within(param, int(side)) for side in value.split("x"))
    return _chosen(param, value) and _counted(param, len(value), "length")


def _number_fits(param: Facts, value: JSON) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if param["type"] == "integer" and not isinstance(value, int):
        return False
    return _chosen(param, value) and _within(param, value)


def _within(param: Facts, value: float) -> bool:
    step = param.get("multiple_of")
    return (
        value >= param.get("minimum", value)
        and value <= param.get("maximum", value)
        and ("exclusive_minimum" not in param or value > param["exclusive_minimum"])
        and ("exclusive_maximum" not in param or value < param["exclusive_maximum"])
        and (step is None or _is_multiple(value, step))
    )


def _is_multiple(value: float, step: float) -> bool:
    try:
        return Decimal(str(value)) % Decimal(str(step)) == 0
    except ArithmeticError:  # a step of 0, a number that is none
        return False


def _truth_fits(_param: Facts, value: JSON) -> bool:
    return isinstance(value, bool)


def _array_fits(param: Facts, value: JSON) -> bool:
    if not isinstance(value, list) or not _counted(param, len(value), "items"):
        return False
    return all(fits(param["items"], one) for one in value)


def _object_fits(param: Facts, value: JSON) -> bool:
    if not isinstance(value, dict):
        return False
    members = {member["name"]: member for member in param.get("properties") or ()}
    if not members:
        return True
    missing = [name for name, m in members.items() if m.get("required") and name not in value]
    return not missing and all(n in members and fits(members[n], v) for n, v in value.items())


def _chosen(param: Facts, value: JSON) -> bool:
    return not param.get("enum") or value in param["enum"]


def _counted(param: Facts, count: int, what: str) -> bool:
    least, most = param.get(f"min_{what}", 0), param.get(f"max_{what}", count)
    return bool(least <= count <= most)


_CHECKS: Mapping[str, Callable[[Facts, JSON], bool]] = {
    "string": _text_fits,
    "integer": _number_fits,
    "number": _number_fits,
    "boolean": _truth_fits,
    "array": _array_fits,
    "object": _object_fits,
}
