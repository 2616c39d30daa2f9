"""How one raw card is laid over another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

Raw: TypeAlias = dict[str, Any]


def laid(below: Mapping[str, Any], above: Mapping[str, Any]) -> Raw:
    """Merge `above` into `below`, deep: a null takes the key away, all but mappings replaces."""
    merged = dict(below)
    for key, value in above.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            under = merged.get(key)
            merged[key] = laid(under if isinstance(under, dict) else {}, value)
        else:
            merged[key] = value
    return merged


def stacked(below: Mapping[str, Any], above: Mapping[str, Any]) -> Raw:
    """Merge like `laid`, but keep nulls for what is still further below."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        both = isinstance(under, dict) and isinstance(value, dict)
        merged[key] = stacked(under or {}, value) if both else value
    return merged


def filled(routes: Any, below: Any, model_id: str) -> Any:
    """Give each route what it does not say: the spec and price of the same backend's below it.

    A route of the backend `fal` without an endpoint gets that of the route below, or else the
    model's id. What is no list of mappings stays as it is, for the format to refuse.
    """
    if not isinstance(routes, list) or not all(isinstance(route, dict) for route in routes):
        return routes
    known = {route["backend"]: route for route in reversed(below or [])}
    return [_filled(route, known.get(route.get("backend"), {}), model_id) for route in routes]


def kept(routes: Any, below: Any) -> list[Raw]:
    """Return the routes below that a card says nothing of: to other places than fal."""
    named = {"fal", *(route.get("backend") for route in routes if isinstance(route, dict))}
    return [route for route in below or [] if route["backend"] not in named]


def _filled(route: Raw, below: Raw, model_id: str) -> Raw:
    inherited = {key: below[key] for key in ("spec", "price") if key in below}
    whole = inherited | route
    if "price" in route and isinstance(route["price"], dict) and "price" in below:
        whole["price"] = _newer(route["price"], below["price"])
    if whole.get("backend") == "fal" and isinstance(whole.get("spec", {}), dict):
        endpoint = below.get("spec", {}).get("endpoint", model_id)
        whole["spec"] = {"endpoint": endpoint} | whole.get("spec", {})
    return whole


def _newer(price: Raw, billed: Raw) -> Raw:
    """Choose between a card's rule and what the place itself says it bills.

    The rule stands, confirmed, while its unit and amount are the same; else the bill is right.
    """
    if billed.get("certainty") != "exact":
        return price
    if all(price.get(key) == billed.get(key) for key in ("unit", "amount")):
        return price | {key: billed[key] for key in ("certainty", "as_of") if key in billed}
    return billed
