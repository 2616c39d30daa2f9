"""Models in words: what tools, resources and the command line say of one."""

from __future__ import annotations

from media_mcp.catalog.model import Model
from media_mcp.job import JSON, Price


def price_words(price: Price | None) -> str:
    """Return `free`, `price unknown` or `$0.04 per image`."""
    if price is None or price.certainty == "unknown":
        return "price unknown"
    about = "about " if price.certainty == "estimated" else ""
    return "free" if price.amount == 0 else f"{about}${price.amount:g} per {price.unit}"


def price_of(model: Model) -> str:
    """Return the price of a model's first route in words."""
    return price_words(model.routes[0].price)


def model_facts(model: Model) -> dict[str, JSON]:
    """Return what tells a model from others, as plain JSON."""
    return {
        "id": model.id,
        "tool": model.tool,
        "title": model.title,
        "task": model.task,
        "description": model.description,
        "licence": model.licence,
        "price": price_of(model),
    }
