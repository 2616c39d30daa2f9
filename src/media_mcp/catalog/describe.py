"""Models in words: what tools, resources and the command line say of one."""

from __future__ import annotations

from collections.abc import Mapping

from media_mcp.catalog.cases import all_rates
from media_mcp.catalog.head import Head
from media_mcp.catalog.model import Model, every_param
from media_mcp.catalog.pricing import dollars, is_hosted, rate_words, shown_route, typical
from media_mcp.job import JSON, MediaKind, Price, Route

SPEEDS: Mapping[str, str] = {
    "instant": "under 1 s",
    "fast": "under 10 s",
    "medium": "under a minute",
    "slow": "minutes",
}
SPEED_SECONDS: Mapping[str, float] = {"instant": 1.0, "fast": 10.0, "medium": 60.0}
LONGEST_ABOUT = 90


def price_words(price: Price | None) -> str:
    """Return `free`, `price unknown`, `$0.04 per image (2026-07)` or `about $0.04 per image`."""
    if price is None or price.certainty == "unknown":
        return "price unknown"
    rates = all_rates(price)
    if not any(rate.amount or rate.first for rate in rates):
        return "free"
    about = "about " if price.certainty == "estimated" else ""
    dated = f" ({price.as_of})" if price.as_of else ""
    return f"{about}{rate_words(rates, price.unit)}{dated}"


def price_of(model: Model) -> str:
    """Return the price of the route that stands for a model, in words."""
    route = shown_route(model)
    return price_words(route.price if route else None)


def cost_words(low: float | None, high: float | None) -> str:
    """Return what a call costs: `free`, `unknown`, `$0.35` or `$1.2136 to $4.551`."""
    if low is None or high is None:
        return "unknown"
    if high == 0:
        return "free"
    return " to ".join(dict.fromkeys((dollars(low), dollars(high))))


def head_of(model: Model) -> Head:
    """Return what listings and search need of a model."""
    cost = typical(model)
    media_in = [param.media for param in every_param(model.inputs) if param.media]
    return Head(
        id=model.id,
        tool=model.tool,
        title=model.title,
        task=model.task,
        provider=model.provider,
        licence=model.licence,
        family=model.family,
        about=about(model),
        price=price_of(model),
        low=cost.low,
        high=cost.high,
        featured=model.featured,
        retired=model.retired,
        media_in=_kinds(media_in),
        media_out=_kinds([output.kind for output in model.outputs]),
        backends=tuple(dict.fromkeys(route.backend for route in model.routes)),
        leaves=any(is_hosted(route) for route in model.routes),
        description=model.description,
        hint=model.search_hint,
    )


def about(model: Model) -> str:
    """Return the first sentence of a model's description, at most 90 characters of it."""
    sentence = model.description.split(". ")[0].rstrip(".")
    if len(sentence) <= LONGEST_ABOUT:
        return sentence
    return f"{sentence[: LONGEST_ABOUT - 1].rstrip()}…"


def model_facts(model: Model) -> dict[str, JSON]:
    """Return what tells a model from others, as plain JSON; what is not known is left out."""
    facts: dict[str, JSON] = {
        "id": model.id,
        "tool": model.tool,
        "title": model.title,
        "task": model.task,
        "description": model.description,
        "licence": model.licence,
        "price": price_of(model),
        "good_at": list(model.good_at),
        "bad_at": list(model.bad_at),
        "speed": SPEEDS.get(model.speed),
        "policy": model.policy,
    }
    return {name: value for name, value in (facts | caveats(model)).items() if value}


def caveats(model: Model) -> dict[str, JSON]:
    """Return what to know before a model is relied on; empty if there is nothing."""
    facts: dict[str, JSON] = {
        "uncertain": model.uncertain,
        "retired": model.retired,
        "successor": model.successor,
    }
    return {name: value for name, value in facts.items() if value}


def route_facts(route: Route) -> dict[str, JSON]:
    """Return a route with its licence and its price as a rule, as plain JSON."""
    licence = {"licence": route.licence} if route.licence else {}
    return {"backend": route.backend, **licence, "price": _rule(route.price)}


def _rule(price: Price | None) -> JSON:
    if price is None:
        return None
    if price.certainty == "unknown":
        return {"certainty": price.certainty, **_known(note=price.note)}
    cases = [
        {"when": dict(case.when), "amount_usd": case.amount, **_known(first_usd=case.first)}
        for case in price.cases
    ]
    rule = {"amount_usd": price.amount, "unit": price.unit, "certainty": price.certainty}
    return rule | _known(as_of=price.as_of, first_usd=price.first, cases=cases, note=price.note)


def _known(**facts: JSON) -> dict[str, JSON]:
    return {name: value for name, value in facts.items() if value not in (None, "", [])}


def _kinds(kinds: list[MediaKind]) -> tuple[MediaKind, ...]:
    return tuple(dict.fromkeys(kinds))
