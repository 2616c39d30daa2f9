"""What a request cost: as many units as the place billed, at the price on the card."""

from __future__ import annotations

from media_mcp.backends.base import Run
from media_mcp.catalog.cases import rates
from media_mcp.catalog.pricing import charge
from media_mcp.catalog.spans import Call


def cost_of(units: float | None, run: Run) -> float | None:
    """Return US dollars; None where the price is unknown.

    Where the place does not tell the units, what the quote says at most. Where several of the
    card's prices may hold, the highest of them.
    """
    price, route = run.route.price, run.route
    if price is None or price.certainty == "unknown":
        return None
    if units is None:
        return charge(run.model, route, run.arguments, run.inputs).high
    fixed = {**route.spec.get("set", {}), **route.spec.get("fixed", {})}
    usual = {param.name: param.default for param in run.model.inputs}
    call = Call(run.model, {**usual, **run.arguments, **fixed}, run.inputs)
    return round(max(rate.cost(units) for rate in rates(price, call)), 6)
