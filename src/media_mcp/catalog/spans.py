"""Quantities that are known within bounds, and the call that they are read from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil

from media_mcp.catalog.model import Model, Param
from media_mcp.job import JSON, Asset, MediaKind

_NUMBER = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(?:s|sec|secs|seconds?)?\s*$", re.IGNORECASE)


class Unsaid(Exception):
    """A quantity cannot be known before the job has run; `what` is missing."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


def not_given(name: str) -> Unsaid:
    """Return the fault for an argument without a value or bounds that would do."""
    return Unsaid(f"{name}, which was left open")


@dataclass(frozen=True, slots=True)
class Span:
    """A quantity between two bounds, which are equal when it is known."""

    low: float
    high: float

    @classmethod
    def exactly(cls, value: float) -> Span:
        return cls(value, value)

    @classmethod
    def of(cls, values: Iterable[float]) -> Span:
        """Return the bounds of some values, at least one."""
        known = list(values)
        return cls(min(known), max(known))

    @classmethod
    def around(cls, spans: Iterable[Span]) -> Span:
        """Return the bounds of some spans, at least one."""
        known = list(spans)
        return cls(min(one.low for one in known), max(one.high for one in known))

    def times(self, other: Span) -> Span:
        return Span(self.low * other.low, self.high * other.high)

    def plus(self, other: Span) -> Span:
        return Span(self.low + other.low, self.high + other.high)

    def by(self, divisor: float) -> Span:
        return Span(self.low / divisor, self.high / divisor)

    def rounded_up(self) -> Span:
        return Span(float(ceil(self.low)), float(ceil(self.high)))

    def words(self) -> str:
        """Return `5` or `4 to 15`."""
        low, high = written(self.low), written(self.high)
        return low if low == high else f"{low} to {high}"


def written(value: float) -> str:
    """Write a number for people: `108,000`, `5`, `1.05`, `0.0013`."""
    if abs(value) >= 100 or float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:.3g}"


@dataclass(frozen=True, slots=True)
class Call:
    """A call to be priced. `arguments` hold every default; `inputs` are its media by URI."""

    model: Model
    arguments: Mapping[str, JSON]
    inputs: Mapping[str, Asset]

    def value(self, name: str) -> JSON:
        """Return an argument; None if it was not given."""
        return self.arguments.get(name)

    def has(self, name: str) -> bool:
        """Whether the model takes such an argument, or its card has fixed it."""
        return self.model.param(name) is not None or self.value(name) is not None

    def number(self, *names: str) -> Span | None:
        """Return what the first of these arguments that was given says, in numbers.

        Where none was given, or one leaves it to the model (`auto`), what the schema allows.
        None if the model has none of them. Raises `Unsaid` where the schema sets no bounds.
        """
        for name in names:
            if (value := self.value(name)) is not None:
                return self._read(name, value)
        params = [param for name in names if (param := self.model.param(name))]
        return allowed(params[0]) if params else None

    def _read(self, name: str, value: JSON) -> Span:
        if (number := number_of(value)) is not None:
            return Span.exactly(number)
        param = self.model.param(name)
        if param is None:
            raise not_given(name)
        return allowed(param)

    def media(self, *kinds: MediaKind) -> list[Param]:
        """Return the model's inputs that are media of these kinds."""
        return [param for param in self.model.inputs if param.media in kinds]

    def assets(self, param: Param, what: str) -> list[Asset]:
        """Return what was given for a media input; none where it may be left out and was.

        Raises `Unsaid(what)` for media that are not known yet.
        """
        value = self.value(param.name)
        if not value and not param.required:
            return []
        uris = value if isinstance(value, list) else [value]
        found = [asset for uri in uris if (asset := self.inputs.get(str(uri))) is not None]
        if not found or len(found) < len(uris):
            raise Unsaid(what)
        return found


def allowed(param: Param) -> Span:
    """Return the numbers that an input's schema allows. Raises `Unsaid` if it sets no bound."""
    numbers = [n for value in param.enum if (n := number_of(value)) is not None]
    if numbers:
        return Span.of(numbers)
    lows = [bound for bound in (param.minimum, param.exclusive_minimum) if bound is not None]
    highs = [bound for bound in (param.maximum, param.exclusive_maximum) if bound is not None]
    if not highs or param.form == "size":
        raise not_given(param.name)
    return Span(max([0.0, *lows]), min(highs))


def number_of(value: JSON) -> float | None:
    """Return the number in `5`, `"5"` or `"8s"`; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    match = _NUMBER.match(value) if isinstance(value, str) else None
    return float(match[1]) if match else None


def automatic(value: JSON) -> bool:
    """Whether a value leaves the choice to the model."""
    return isinstance(value, str) and value.lower() in ("auto", "adaptive", "default")
