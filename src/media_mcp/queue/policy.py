"""Which route a job takes, why, and what each would cost and take."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from media_mcp.backends.base import Readiness
from media_mcp.catalog.describe import SPEED_SECONDS, SPEEDS
from media_mcp.catalog.model import Model
from media_mcp.catalog.pricing import Charge, charge, typical
from media_mcp.errors import InvalidArguments, NotConfigured, Problem, Refused
from media_mcp.job import Arguments, Asset, Quote, Route
from media_mcp.queue.routing import (
    BY_QUOTE,
    REHEARSAL,
    Backends,
    Rules,
    arranged,
    ban,
    goes_away,
    key_of,
    rank,
)

REHEARSAL_ROUTE = Route(REHEARSAL)
History = Callable[[str, str], Awaitable[Sequence[float]]]

# What brings a backend that this server has not.
_SET_UP: Mapping[str, str] = {"fal": "Set FAL_KEY, and install the backend fal."}
_DOCTOR = "Run: media-mcp doctor"
OTHERS = "find_models(runs_here=true), or media-mcp models --runs-here, lists what can run now."


@dataclass(frozen=True, slots=True)
class Wanted:
    """A call that looks for a route; without `arguments`, a typical one.

    `backend` asks for one route, `rehearse` for the rehearsal backend whatever the model. `rules`
    are those of the caller's project; the routes with the keys in `tried` are left out. `gpu_rate`
    is what an hour on a device of this machine costs, in US dollars.
    """

    model: Model
    arguments: Arguments | None = None
    inputs: Mapping[str, Asset] = field(default_factory=dict)
    backend: str | None = None
    rehearse: bool = False
    rules: Rules = field(default_factory=Rules)
    tried: Collection[str] = ()
    gpu_rate: float = 0.0


@dataclass(frozen=True, slots=True)
class Choice:
    """The route taken, its quote and the reason, in words for the caller."""

    route: Route
    quote: Quote
    why: str


@dataclass(frozen=True, slots=True)
class Look:
    """What was found of one route; `readiness` says why not, and `banned` that a rule says so."""

    route: Route
    quote: Quote
    readiness: Readiness
    banned: bool = False


def candidates(wanted: Wanted) -> Sequence[Route]:
    """Return the routes to consider, as the card has them.

    Raises `InvalidArguments` for a backend that the model has no route to.
    """
    model = wanted.model
    if wanted.rehearse or wanted.backend == REHEARSAL:
        return (REHEARSAL_ROUTE,)
    if wanted.backend is None:
        return model.routes
    routes = tuple(route for route in model.routes if route.backend == wanted.backend)
    if not routes:
        known = ", ".join(route.backend for route in model.routes) or "none"
        problem = Problem("backend", f"{model.id} has no route to {wanted.backend!r}.")
        raise InvalidArguments([problem], f"Its routes: {known}. Or leave backend out.")
    return routes


async def choose(wanted: Wanted, backends: Backends, history: History | None = None) -> Choice:
    """Take the best route that is ready.

    Raises `NotConfigured` with every route's reason, and `Refused` where the rules forbid them all.
    """
    passed: list[Look] = []
    for look in await looks(wanted, backends, history, every=False):
        if look.quote.ready:
            return Choice(look.route, look.quote, _why(look.route, passed, wanted))
        passed.append(look)
    if passed and all(look.banned for look in passed):
        raise _forbidden(wanted.model, passed)
    raise _none_ready(wanted.model, passed)


async def quotes(
    wanted: Wanted, backends: Backends, history: History | None = None
) -> tuple[Quote, ...]:
    """Quote every route, the one that would be tried first at the top.

    `ready` and `reason` say which of them can, and may, run now. `history` tells how long the
    latest successes of a model on a backend took, in seconds; without it, no seconds are looked for
    where the backend itself knows none.
    """
    found = await looks(wanted, backends, history, every=True)
    if history is None:
        return tuple(look.quote for look in found)
    return tuple([await _timed(look.quote, wanted.model, history) for look in found])


def best(found: Sequence[Quote]) -> Quote | None:
    """Return the quote of the route that a job would take: the first that is ready."""
    return next((quote for quote in found if quote.ready), None)


async def looks(
    wanted: Wanted, backends: Backends, history: History | None = None, *, every: bool
) -> list[Look]:
    """Look at the routes, best first; unless at `every` one, no further than the first ready one.

    Without `history`, `fastest` knows only of what backends tell themselves.
    """
    prefer = wanted.rules.prefer
    found: list[Look] = []
    for route in arranged(candidates(wanted), prefer, backends):
        if wanted.tried and key_of(route) in wanted.tried:
            continue
        look = await _look(wanted, route, backends, history)
        if prefer == "fastest" and history is not None:
            look = replace(look, quote=await _timed(look.quote, wanted.model, history))
        found.append(look)
        if look.quote.ready and not every and prefer not in BY_QUOTE:
            break
    return sorted(found, key=lambda look: rank(look.quote, prefer))


async def _look(wanted: Wanted, route: Route, backends: Backends, history: History | None) -> Look:
    backend = backends.get(route.backend)
    quote = Quote(route.backend, None, None)
    if backend is not None:
        quote = backend.quote(wanted.model, route, wanted.arguments or {})
    if quote.gpu_seconds is not None:
        quote = await _metered(quote, wanted, history)
    quote = _priced(quote, wanted, route)
    away = goes_away(route, backends)
    if found := ban(wanted.rules, wanted.model, route, away, wanted.inputs):
        return _unready(route, quote, Readiness(False, found.why, found.fix), banned=True)
    if backend is None:
        fix = _SET_UP.get(route.backend, _DOCTOR)
        return _unready(route, quote, Readiness(False, "not set up on this server", fix))
    readiness = await backend.readiness()
    if not readiness.ready:
        return _unready(route, quote, readiness)
    return Look(route, quote, Readiness(quote.ready, quote.reason, "" if quote.ready else OTHERS))


async def _metered(quote: Quote, wanted: Wanted, history: History | None) -> Quote:
    """Say how long a device of ours would be held, as far as is known, and what that costs."""
    if not quote.gpu_seconds and history is not None:
        told = await _timed(quote, wanted.model, history)
        quote = replace(quote, gpu_seconds=told.seconds or 0.0)
    rate = wanted.gpu_rate
    if not rate:
        return quote
    words = f"{quote.gpu_seconds:.3g} s" if quote.gpu_seconds else "an unknown time"
    cost = quote.gpu_seconds * rate / 3600 if quote.gpu_seconds else None
    basis = f"{words} on this machine at ${rate:g} an hour"
    return replace(quote, low=cost, high=cost, basis=basis, certainty="estimated")


def _priced(quote: Quote, wanted: Wanted, route: Route) -> Quote:
    """Fill in the card's price where the backend, which would bill it, does not know its own."""
    quote = replace(quote, licence=route.licence)
    if quote.gpu_seconds is not None and wanted.gpu_rate:
        return quote
    if quote.high is not None:
        return replace(quote, certainty="exact")
    price, found = route.price, _charge(wanted, route)
    return replace(
        quote,
        low=found.low,
        high=found.high,
        basis=found.basis,
        certainty=price.certainty if price else "unknown",
        as_of=price.as_of if price else "",
    )


def _charge(wanted: Wanted, route: Route) -> Charge:
    if wanted.arguments is None:
        return typical(wanted.model, route)
    return charge(wanted.model, route, wanted.arguments, wanted.inputs)


def _unready(route: Route, quote: Quote, readiness: Readiness, *, banned: bool = False) -> Look:
    reason = f"{readiness.reason.rstrip('.')}. {readiness.fix}".strip()
    return Look(route, replace(quote, ready=False, reason=reason), readiness, banned)


async def _timed(quote: Quote, model: Model, history: History) -> Quote:
    """Say how long it takes: as the backend knows, as it took before, or by its class of speed."""
    if quote.seconds is not None or quote.timing:
        return quote
    if past := await history(model.id, quote.backend):
        timing = f"median of the last {len(past)} here" if len(past) > 1 else "as the last one here"
        return replace(quote, seconds=round(median(past), 2), timing=timing)
    if model.speed:
        most = SPEED_SECONDS.get(model.speed)
        return replace(quote, seconds=most, timing=f"{model.speed}: {SPEEDS[model.speed]}")
    return replace(quote, timing="unknown")


def _why(route: Route, passed: Sequence[Look], wanted: Wanted) -> str:
    prefer = wanted.rules.prefer
    if wanted.rehearse:
        return "rehearsal: the settings say that every model is rehearsed"
    if wanted.backend is not None:
        return f"{route.backend}: asked for"
    if not passed:
        first = "the model's first route, and it is ready"
        return f"{route.backend}: {first if prefer == 'card' else f'first by prefer={prefer}'}"
    reasons = "; ".join(f"{look.route.backend}: {look.readiness.reason}" for look in passed)
    by = "" if prefer == "card" else f" by prefer={prefer}"
    return f"{route.backend}: the first route{by} that is ready ({reasons})"


def _none_ready(model: Model, passed: Sequence[Look]) -> NotConfigured:
    if not passed:
        return NotConfigured(f"{model.id} has no route.", "Add one to its card.")
    message = f"{model.id} cannot run now ({_reasons(passed)})."
    return NotConfigured(message, _fixes(passed) or _DOCTOR)


def _forbidden(model: Model, passed: Sequence[Look]) -> Refused:
    return Refused(f"{model.id} may not run ({_reasons(passed)}).", _fixes(passed))


def _reasons(passed: Sequence[Look]) -> str:
    return "; ".join(f"{p.route.backend}: {p.readiness.reason.rstrip('.')}" for p in passed)


def _fixes(passed: Sequence[Look]) -> str:
    return " ".join(dict.fromkeys(look.readiness.fix for look in passed if look.readiness.fix))
