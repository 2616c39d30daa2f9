"""Prices as data, made into what a call would cost. Nothing is guessed: unknown stays unknown.

A price is an amount for each unit of `UNITS` (or several at a time: `1000 characters`,
`5 seconds`), perhaps another for the first one, and cases: the first case whose conditions hold
replaces both. A condition is on an argument, or on what is computed (`seconds`, `megapixels`,
`height`, `characters`, `images`, `fps`), and says a value, a list of values or `{min, max}`, which
are inclusive; of media and of lists, `{min, max}` is how many were given.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from media_mcp.catalog import quantities
from media_mcp.catalog.cases import Rate, all_rates, rates
from media_mcp.catalog.model import Model, Param
from media_mcp.catalog.spans import Call, Span, Unsaid
from media_mcp.job import JSON, Asset, MediaKind, Price, Route

STAND_IN = "rehearsal"  # the backend that makes stand-ins, on one's own machine
TYPICAL_SECONDS = 5.0
TYPICAL_CHARACTERS = 200
_UNIT = re.compile(r"^(?:(\d+(?:\.\d+)?)\s*([km])?\s+)?(\S.*)$")
_THOUSANDS = {"k": 1e3, "m": 1e6}


@dataclass(frozen=True, slots=True)
class Charge:
    """What a call would cost in US dollars, and from what: `1.05 megapixels × $0.025`.

    `low` and `high` are equal when the price is certain, and both None when it is unknown; `basis`
    then says what is missing.
    """

    low: float | None
    high: float | None
    basis: str


@dataclass(frozen=True, slots=True)
class Unit:
    """What is counted: `measure` it in a call, `size` of it at a time (1000 characters).

    One that is counted for `each` picture or clip is paid for each of them. One of several seconds
    may be billed by the part or only whole (`blocks`). `how` says in words how it is counted.
    """

    name: str
    measure: Callable[[Call], Span]
    each: bool = False
    size: float = 1.0
    blocks: bool = False
    how: str = ""


def _unsaid(what: str) -> Callable[[Call], Span]:
    def measure(call: Call) -> Span:
        raise Unsaid(what)

    return measure


UNITS: Mapping[str, Unit] = {
    unit.name: unit
    for unit in (
        Unit("image", quantities.images),
        Unit("video", quantities.images),
        Unit("audio", quantities.images),
        Unit("generation", quantities.images),
        Unit("call", quantities.once),
        Unit("megapixel", quantities.megapixels, each=True),
        Unit("started megapixel", quantities.started_megapixels, each=True),
        Unit("input and output megapixel", quantities.all_megapixels, each=True),
        Unit("started input and output megapixel", quantities.started_in_all, each=True),
        Unit("second", quantities.seconds, each=True),
        Unit("frame", quantities.frames, each=True),
        Unit(
            "video token",
            quantities.video_tokens,
            each=True,
            how=" (width × height × frames / 1024)",
        ),
        Unit("character", quantities.characters),
        Unit("step", quantities.steps),
        Unit("compute second", _unsaid("how long it computes")),
        Unit("video segment", _unsaid("how many segments a video is")),
        Unit("token", _unsaid("how many tokens it takes")),
        Unit("unit", _unsaid("how many units it takes")),
    )
}
_OTHER_WORDS = {"request": "call", "run": "call", "audio file": "audio", "song": "audio"}
_MINUTE = replace(UNITS["second"], size=60.0)


def unit_of(words: str) -> Unit | None:
    """Return the unit that a card or a pricing API names (`megapixels`, `1k characters`)."""
    match = _UNIT.match(words.strip().lower())
    if match is None:
        return None
    count, prefix, name = match.groups()
    name = _OTHER_WORDS.get(name.removesuffix("s"), name.removesuffix("s"))
    unit = _MINUTE if name == "minute" else UNITS.get(name)
    if unit is None or count is None:
        return unit
    several = float(count) * _THOUSANDS.get(prefix or "", 1.0)
    return replace(unit, size=unit.size * several, blocks=unit is UNITS["second"])


def price_range(
    price: Price | None,
    model: Model,
    arguments: Mapping[str, JSON],
    inputs: Mapping[str, Asset] | None = None,
) -> Charge:
    """Return what a call would cost at `price`. What is not given has its default.

    `inputs` are the media among the arguments, by URI. Where an argument that matters is left to
    the model, the price is the range over what its schema allows, and unknown if that is endless.
    """
    if price is None or price.certainty == "unknown":
        return Charge(None, None, _noted("price unknown", price))
    if not any(rate.amount or rate.first for rate in all_rates(price)):
        return Charge(0.0, 0.0, "free")
    given = {param.name: param.default for param in model.inputs} | dict(arguments)
    return _charge(price, Call(model, given, inputs or {}))


def charge(
    model: Model,
    route: Route,
    arguments: Mapping[str, JSON],
    inputs: Mapping[str, Asset] | None = None,
) -> Charge:
    """Return what a call would cost on a route, with what its card fixes."""
    fixed = {**route.spec.get("set", {}), **route.spec.get("fixed", {})}
    return price_range(route.price, model, {**arguments, **fixed}, inputs)


def is_hosted(route: Route) -> bool:
    """Tell whether others' machines run it, for all that a card tells."""
    return not route.ours and route.backend != STAND_IN


def shown_route(model: Model) -> Route | None:
    """Return the route whose price stands for the model: the first hosted one, else the first."""
    hosted = (route for route in model.routes if is_hosted(route))
    return next(hosted, model.routes[0] if model.routes else None)


def typical(model: Model, route: Route | None = None) -> Charge:
    """Return what a call with the model's defaults costs on a route (see `shown_route`).

    What has no default is 200 characters of text, a picture of a megapixel, 5 seconds of media.
    """
    route = route or shown_route(model)
    if route is None:
        return Charge(None, None, "no route")
    needed = [param for param in model.inputs if param.required]
    found = charge(model, route, *_stand_ins(model, needed))
    if found.high is None:  # perhaps it hangs on media that may be left out
        media = [param for param in model.inputs if param.media]
        found = charge(model, route, *_stand_ins(model, [*needed, *media]))
    return found


def dollars(amount: float) -> str:
    """Write US dollars, to as many places as they need: `$0.3034`, `$2.5`."""
    return f"${amount:.8f}".rstrip("0").rstrip(".")


def rate_words(rates: Iterable[Rate], unit: str = "") -> str:
    """Return `$0.05`, `$0.05 to $0.15`, or `$0.03 for the first, $0.015 for each more`."""
    known = list(rates)
    most = _spread(rate.amount for rate in known)
    firsts = [rate.amount if rate.first is None else rate.first for rate in known]
    if all(rate.first is None for rate in known):
        return f"{most} per {unit}" if unit else most
    return f"{_spread(firsts)} for the first {unit}".rstrip() + f", {most} for each more"


def _spread(amounts: Iterable[float]) -> str:
    known = list(amounts)
    low, high = dollars(min(known)), dollars(max(known))
    return low if low == high else f"{low} to {high}"


def _charge(price: Price, call: Call) -> Charge:
    possible = rates(price, call)
    unit = unit_of(price.unit) or Unit(price.unit, _unsaid(f"how many {price.unit}s it takes"))
    try:
        count, times = unit.measure(call), _times(unit, call)
    except Unsaid as error:
        words = f"{rate_words(possible, price.unit)}; unknown: {error.what}"
        return Charge(None, None, _noted(words, price))
    counted = _counted(unit, count)
    low = times.low * min(rate.cost(counted.low) for rate in possible)
    high = times.high * max(rate.cost(counted.high) for rate in possible)
    paid = rate_words(possible) + (f" per {price.unit}" if unit.size != 1 else "")
    words = f"{_counted_words(unit, count, times)} × {paid}"
    return Charge(round(low, 6), round(high, 6), _noted(words, price))


def _times(unit: Unit, call: Call) -> Span:
    return quantities.images(call) if unit.each else Span.exactly(1)


def _counted(unit: Unit, count: Span) -> Span:
    """Return how many units are paid for; of several seconds, perhaps every one begun."""
    counted = count.by(unit.size)
    return (
        Span(counted.low, counted.rounded_up().high) if unit.blocks and unit.size > 1 else counted
    )


def _counted_words(unit: Unit, count: Span, times: Span) -> str:
    several = "" if times == Span.exactly(1) else f"{times.words()} × "
    noun = unit.name if count == Span.exactly(1) else f"{unit.name}s"
    return f"{several}{count.words()} {noun}{unit.how}"


def _noted(words: str, price: Price | None) -> str:
    """Add how sure the price is, of when, and what its rule cannot say."""
    if price is None:
        return words
    sure = " ".join(part for part in (price.certainty, price.as_of) if part)
    dated = f"{words} ({sure})" if price.certainty != "unknown" else words
    return f"{dated}; {price.note}" if price.note else dated


def _stand_ins(model: Model, params: Iterable[Param]) -> tuple[dict[str, JSON], dict[str, Asset]]:
    """Return arguments for some inputs, and the media that they name."""
    arguments = {param.name: made for param in params if (made := _stand_in(param)) is not None}
    moving = any(output.kind is MediaKind.VIDEO for output in model.outputs)
    return arguments, {kind.value: _media(kind, moving) for kind in MediaKind}


def _stand_in(param: Param) -> JSON:
    if param.media is not None:
        return [param.media.value] if param.type == "array" else param.media.value
    if param.default is not None or param.enum:
        return param.default
    if param.items is not None:
        return [_stand_in(param.items)]
    if param.properties:
        return {one.name: made for one in param.properties if (made := _stand_in(one)) is not None}
    return "x" * TYPICAL_CHARACTERS if param.type == "string" else None


def _media(kind: MediaKind, moving: bool) -> Asset:
    """Return media of a usual size: the URI is the kind's name, as no file is meant."""
    width, height = (1280, 720) if moving or kind is MediaKind.VIDEO else (1024, 1024)
    seconds = TYPICAL_SECONDS if kind in (MediaKind.VIDEO, MediaKind.AUDIO) else None
    return Asset(kind.value, Path(), kind, "", 0, width, height, seconds)
