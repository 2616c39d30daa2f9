"""Models and heads as compact JSON and back, for the compiled catalog. Defaults are left out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from typing import Any

from media_mcp.catalog.head import Head
from media_mcp.catalog.model import Example, Model, OutputSpec, Param, ValueSpec
from media_mcp.job import JSON, MediaKind, Price, PriceCase, Route

_Default = tuple[str, Any]
_KINDS = {kind.value: kind for kind in MediaKind}


def dumps(value: Any) -> str:
    """Write a value object (or a tuple of them) as JSON; what equals its default is left out."""
    return json.dumps(_plain(value), separators=(",", ":"), ensure_ascii=False)


def load_model(text: str) -> Model:
    """Read a model that `dumps` wrote."""
    raw = json.loads(text)
    made: dict[str, Any] = {
        "inputs": tuple(map(_param, raw["inputs"])),
        "outputs": tuple(map(_output, raw["outputs"])),
        "routes": tuple(map(_route, raw["routes"])),
        "values": tuple(ValueSpec(**v) for v in raw.get("values", ())),
        "examples": tuple(Example(**e) for e in raw.get("examples", ())),
    }
    phrases = ("good_at", "bad_at", "alternatives")
    return Model(**raw | made | {name: tuple(raw.get(name, ())) for name in phrases})


def dump_head(head: Head) -> str:
    """Write a head as a JSON array, in the order of its fields."""
    return json.dumps([getattr(head, name) for name, _ in _layout(Head)], separators=(",", ":"))


def load_head(text: str) -> Head:
    named = dict(zip((name for name, _ in _layout(Head)), json.loads(text), strict=True))
    kinds = {
        name: tuple(map(_KINDS.__getitem__, named[name])) for name in ("media_in", "media_out")
    }
    return Head(**named | kinds | {"backends": tuple(named["backends"])})


def _param(raw: Mapping[str, Any]) -> Param:
    made = dict(raw)
    if "media" in made:
        made["media"] = MediaKind(made["media"])
    if "enum" in made:
        made["enum"] = tuple(made["enum"])
    if "items" in made:
        made["items"] = _param(made["items"])
    if "properties" in made:
        made["properties"] = tuple(map(_param, made["properties"]))
    return Param(**made)


def _output(raw: Mapping[str, Any]) -> OutputSpec:
    return OutputSpec(**{**raw, "kind": MediaKind(raw["kind"])})


def _route(raw: Mapping[str, Any]) -> Route:
    price = raw.get("price")
    return Route(**{**raw, "price": load_price(price) if price else None})


def load_price(raw: Mapping[str, Any]) -> Price:
    """Read a price that `dumps` wrote."""
    return Price(**{**raw, "cases": tuple(PriceCase(**case) for case in raw.get("cases", ()))})


def _plain(value: Any) -> JSON:
    if is_dataclass(value) and not isinstance(value, type):
        layout = _layout(type(value))
        given = ((name, getattr(value, name), default) for name, default in layout)
        return {name: _plain(v) for name, v, default in given if _told(v, default)}
    if isinstance(value, Mapping):
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(member) for member in value]
    return value


def _told(value: Any, default: Any) -> bool:
    """Whether a value must be written: 0 and False equal each other, but are not the same."""
    return value != default or type(value) is not type(default)


@cache
def _layout(kind: type) -> tuple[_Default, ...]:
    return tuple((field.name, _default(field)) for field in fields(kind))


def _default(field: Field[Any]) -> Any:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return field.default
