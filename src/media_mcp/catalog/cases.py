"""Which of a price's cases a call falls under; several may, where an argument is left open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf

from media_mcp.catalog.model import Param
from media_mcp.catalog.quantities import QUANTITIES
from media_mcp.catalog.spans import Call, Span, Unsaid, automatic, number_of
from media_mcp.job import JSON, Price

Maybe = bool | None  # None: it cannot be said


@dataclass(frozen=True, slots=True)
class Rate:
    """US dollars for a unit, and for the first one (or part of it) where that differs."""

    amount: float
    first: float | None = None

    def cost(self, count: float) -> float:
        if self.first is None:
            return self.amount * count
        return self.first + self.amount * max(count - 1.0, 0.0)


def all_rates(price: Price) -> list[Rate]:
    """Return every rate of a price, its own last."""
    return [*(Rate(c.amount, c.first) for c in price.cases), Rate(price.amount, price.first)]


def rates(price: Price, call: Call) -> list[Rate]:
    """Return the rates that may hold for a call: that of the first case that fits, if it can be
    told, and else of those that may."""
    possible = []
    for case in price.cases:
        fits = _all([_holds(call, name, wanted) for name, wanted in case.when.items()])
        if fits is not False:
            possible.append(Rate(case.amount, case.first))
        if fits:
            return possible
    return [*possible, Rate(price.amount, price.first)]


def _holds(call: Call, name: str, wanted: JSON) -> Maybe:
    param = call.model.param(name)
    if param is None and name in QUANTITIES:
        return _measured(call, name, wanted)
    value = call.value(name)
    if param is None:
        return value is not None and _matches(value, wanted)
    if isinstance(wanted, Mapping) and (param.media or param.type == "array"):
        return _within(Span.exactly(_items(value)), wanted)
    if value is None or (automatic(value) and value != wanted):
        return _same(_matches(one, wanted) for one in _choices(param))
    return _matches(value, wanted)


def _measured(call: Call, name: str, wanted: JSON) -> Maybe:
    try:
        span = QUANTITIES[name](call)
    except Unsaid:
        return None
    if isinstance(wanted, Mapping):
        return _within(span, wanted)
    numbers = [number for one in _listed(wanted) if (number := number_of(one)) is not None]
    return _any(_within(span, {"min": number, "max": number}) for number in numbers)


def _within(span: Span, bounds: Mapping[str, JSON]) -> Maybe:
    low, high = bounds.get("min", -inf), bounds.get("max", inf)
    if low <= span.low and span.high <= high:
        return True
    return None if span.high >= low and span.low <= high else False


def _matches(value: JSON, wanted: JSON) -> Maybe:
    number = number_of(value)
    if isinstance(wanted, Mapping):
        return None if number is None else _within(Span.exactly(number), wanted)
    if isinstance(wanted, list | tuple):
        return _any(_matches(value, one) for one in wanted)
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    if number is not None and number == number_of(wanted):
        return True
    return str(value).casefold() == str(wanted).casefold()


def _listed(wanted: JSON) -> list[JSON]:
    return list(wanted) if isinstance(wanted, list | tuple) else [wanted]


def _items(value: JSON) -> int:
    """Return how many media, or how many members of a list, were given."""
    return len(value) if isinstance(value, list) else int(bool(value))


def _choices(param: Param) -> tuple[JSON, ...]:
    if param.type == "boolean":
        return (True, False)
    return tuple(value for value in param.enum if not automatic(value))


def _all(told: Iterable[Maybe]) -> Maybe:
    answers = set(told)
    return False if False in answers else None if None in answers else True


def _any(told: Iterable[Maybe]) -> Maybe:
    answers = set(told)
    return True if True in answers else None if None in answers else False


def _same(told: Iterable[Maybe]) -> Maybe:
    """Return what all answers say; None if they differ or there are none."""
    answers = set(told)
    return answers.pop() if len(answers) == 1 else None
