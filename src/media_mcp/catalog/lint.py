"""Rules for good cards, beyond the format: words, prices, licences, schemas, examples, names."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from media_mcp import speed
from media_mcp.catalog.format import CardFault, Where
from media_mcp.catalog.model import Model, Param
from media_mcp.catalog.pricing import shown_route, unit_of
from media_mcp.catalog.quantities import QUANTITIES
from media_mcp.catalog.requests import check_spec
from media_mcp.catalog.schema import input_schema
from media_mcp.catalog.validate import problems_of, validator_of
from media_mcp.errors import did_you_mean
from media_mcp.job import JSON, Price, Route

BEST_WORDS = 45  # of a description; with price and licence a tool's has 60
UNLICENSED = "licence unknown"
HOSTED = "hosted"  # how a licence begins that says nothing of weights
_PRAISE = re.compile(
    r"\b(state[- ]of[- ]the[- ]art|cutting[- ]edge|stunning|breathtaking|revolutionary|"
    r"unleash\w*|unlock\w*|world[- ]class|best[- ]in[- ]class|game[- ]chang\w+|effortless\w*)\b",
    re.IGNORECASE,
)
_ARGUMENT = re.compile(r"^[A-Za-z0-9_.-]{1,64}$")  # what Claude's tools may call a property
_FORBIDDEN = ("$ref", "anyOf", "oneOf", "allOf", "not", "if")


def errors(model: Model, known: Collection[str]) -> Iterator[CardFault]:
    """Yield what would fail when the model is used; `known` are the ids of all models."""
    yield from schema_faults(input_schema(model))
    yield from _values_that_fail(model)
    yield from _unknown_ids(model, known)
    for number, route in enumerate(model.routes):
        yield from _route_faults(model, route, ("routes", number))


def warnings(model: Model) -> Iterator[CardFault]:
    """Yield what a better card would say."""
    yield from _poor_words(model)
    for where, param in _placed(model.inputs):
        if not param.description:
            yield CardFault((*where, "description"), "it is empty")
    for number, route in enumerate(model.routes):
        yield from _unsaid(model, route, ("routes", number))


def clashes(models: Iterable[Model]) -> Iterator[tuple[Model, CardFault]]:
    """Yield each model whose tool name another has already."""
    first: dict[str, Model] = {}
    for model in models:
        other = first.setdefault(model.tool, model)
        if other is not model:
            words = f"{model.id} and {other.id} share the tool name {model.tool}"
            yield model, CardFault(("tool",), words, "Give one of them another name with `tool:`.")


@dataclass(frozen=True, slots=True)
class Covered:
    """How much is known of the models of one task, each as a count of models."""

    task: str
    models: int
    priced: int
    licensed: int
    local: int
    curated: int
    uncertain: int


def coverage(models: Iterable[Model]) -> list[Covered]:
    """Count, by task, models with a known price, a known licence, a local route, a card."""
    by_task: dict[str, list[Model]] = defaultdict(list)
    for model in models:
        by_task[model.task].append(model)
    return [_covered(task, of_task) for task, of_task in sorted(by_task.items())]


def _covered(task: str, models: list[Model]) -> Covered:
    return Covered(
        task,
        len(models),
        sum(_is_priced(model) for model in models),
        sum(not model.licence.endswith(UNLICENSED) for model in models),
        sum(any(route.ours for route in model.routes) for model in models),
        sum(Path(model.source).suffix in (".yaml", ".yml") for model in models),
        sum(bool(model.uncertain) for model in models),
    )


def _is_priced(model: Model) -> bool:
    route = shown_route(model)
    price = route.price if route else None
    return price is not None and price.certainty != "unknown"


def schema_faults(schema: Mapping[str, JSON]) -> Iterator[CardFault]:
    """Yield what some client would refuse or misread in the schema of a tool's arguments."""
    for where, part in _parts(schema, ()):
        if wrong := [word for word in _FORBIDDEN if word in part]:
            yield CardFault(where, f"its schema uses {', '.join(wrong)}")
        if not isinstance(part.get("type"), str):
            yield CardFault(where, "its schema does not have one type")
        for name in part.get("properties", {}):
            if not _ARGUMENT.match(name):
                yield CardFault(where, f"the name {name!r} must match {_ARGUMENT.pattern}")


def _parts(schema: Mapping[str, Any], where: Where) -> Iterator[tuple[Where, Mapping[str, Any]]]:
    """Yield each part of a schema with the keys of the card that it was made of."""
    yield where, schema
    inner = "properties" if where else "inputs"
    for name, part in schema.get("properties", {}).items():
        yield from _parts(part, (*where, inner, name))
    if "items" in schema:
        yield from _parts(schema["items"], (*where, "items"))


def _values_that_fail(model: Model) -> Iterator[CardFault]:
    for number, example in enumerate(model.examples):
        for problem in validator_of(model).problems(example.arguments):
            words = f"{model.id}, example {example.title!r}: {problem.field}: {problem.message}"
            yield CardFault(("examples", number), words.removesuffix("."))
    for param in model.inputs:
        if param.default is not None:
            for problem in problems_of([param], {param.name: param.default}):
                where = ("inputs", param.name, "default")
                yield CardFault(where, problem.message.removesuffix("."))


def _unknown_ids(model: Model, known: Collection[str]) -> Iterator[CardFault]:
    named: list[tuple[Where, str]] = [(("alternatives",), other) for other in model.alternatives]
    named += [(("successor",), model.successor)] if model.successor else []
    for where, other in named:
        if other not in known:
            hint = did_you_mean(other, sorted(known))
            yield CardFault(where, f"there is no model called {other!r}", hint)


def _route_faults(model: Model, route: Route, where: Where) -> Iterator[CardFault]:
    names = {param.name for param in model.inputs}
    try:
        mapped = check_spec(route.spec)
    except CardFault as fault:
        yield CardFault((*where, *fault.where), fault.message)
        return
    for name in mapped:
        if name not in names and name not in route.spec.get("fixed", {}):
            words = f"the model has no input {name!r}"
            yield CardFault((*where, "spec", "map", name), words, did_you_mean(name, sorted(names)))
    try:
        speed.choice(route.spec.get("speed", {}))
    except ValueError as error:
        yield CardFault((*where, "spec", "speed"), str(error))
    if route.price is not None:
        yield from _price_faults(route.price, names | set(route.spec.get("fixed", {})), where)


def _price_faults(price: Price, names: set[str], where: Where) -> Iterator[CardFault]:
    if price.certainty != "unknown" and unit_of(price.unit) is None:
        yield CardFault((*where, "price", "unit"), f"{price.unit!r} is no unit of a price")
    for number, case in enumerate(price.cases):
        for name in case.when:
            if name not in names and name not in QUANTITIES:
                words = f"{name!r} is neither an input nor one of {', '.join(QUANTITIES)}"
                yield CardFault((*where, "price", "cases", number, "when", name), words)


def _poor_words(model: Model) -> Iterator[CardFault]:
    count = len(model.description.split())
    if count > BEST_WORDS:
        yield CardFault(("description",), f"it has {count} words; up to {BEST_WORDS} are read")
    if found := _PRAISE.search(f"{model.title} {model.description}"):
        yield CardFault(("description",), f"{found[0]!r} is praise: say what it is good at")


def _unsaid(model: Model, route: Route, where: Where) -> Iterator[CardFault]:
    if route.price is None and route.backend != "fal":
        hint = "Write it, or `price: {certainty: unknown}`."
        yield CardFault(where, f"the route {route.backend} says no price", hint)
    hosted = model.licence.startswith(HOSTED) and not route.licence
    if route.ours and hosted:
        yield CardFault(where, "the licence of the weights is not said", "Add `licence`.")
    for path in _missing_files(route.spec.get("loras")):
        yield CardFault(("loras",), f"there is no file {path}")


def _missing_files(loras: JSON) -> Iterator[str]:
    for lora in loras if isinstance(loras, list) else ():
        path = str(lora.get("path", ""))
        if path.startswith("/") and not Path(path).exists():
            yield path


def _placed(params: Iterable[Param], where: Where = ("inputs",)) -> Iterator[tuple[Where, Param]]:
    """Yield each named input and member with the keys that lead to it in a card."""
    for param in params:
        place = (*where, param.name)
        yield place, param
        inner = param
        while inner.items is not None:
            inner, place = inner.items, (*place, "items")
        yield from _placed(inner.properties, (*place, "properties"))
