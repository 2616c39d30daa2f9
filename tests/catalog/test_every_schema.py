"""Every model of the catalog: what its schema allows can be run, and what it does not is named."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from media_mcp.catalog import lint
from media_mcp.catalog.cards import models_of
from media_mcp.catalog.endpoints import load_endpoints
from media_mcp.catalog.glossary import Glossary
from media_mcp.catalog.model import TOOL_NAME, Model, Param
from media_mcp.catalog.requests import arguments_of, request_for
from media_mcp.catalog.schema import input_schema
from media_mcp.catalog.sources import shipped_folder
from media_mcp.catalog.validate import complete
from media_mcp.errors import InvalidArguments
from media_mcp.job import JSON, MediaKind, Route

Check = Callable[[Model, dict[str, JSON]], None]
MEDIA = ("media://" + "0" * 64 + ".png", "https://example.com/a%20b.mp4?x=1", "photos/me.jpg")
WRONG: dict[str, JSON] = {
    "string": 5,
    "integer": "a",
    "number": "a",
    "boolean": "a",
    "array": 5,
    "object": 5,
}
FREE = st.dictionaries(st.text(max_size=3), st.integers(-9, 9) | st.text(max_size=3), max_size=2)
each = settings(
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@lru_cache(maxsize=1)
def endpoints() -> dict[str, dict[str, JSON]]:
    ours = shipped_folder()
    return load_endpoints([ours], Glossary.load(ours / "words"))


@lru_cache(maxsize=1)
def every_model() -> tuple[Model, ...]:
    return tuple(models_of(endpoints(), [shipped_folder()]))


@lru_cache(maxsize=1)
def every_endpoint() -> dict[str, Model]:
    return {model.id: model for model in models_of(endpoints(), [])}


def calls(model: Model) -> st.SearchStrategy[dict[str, Any]]:
    """Draw arguments as a caller may give them: all that is required and some of the rest."""
    return members(tuple(param for param in model.inputs if not param.replaced_by))


def members(params: tuple[Param, ...]) -> st.SearchStrategy[dict[str, Any]]:
    needed = {param.name: values(param) for param in params if param.required}
    more = {param.name: values(param) for param in params if not param.required}
    return st.fixed_dictionaries(needed, optional=more)


def values(param: Param) -> st.SearchStrategy[Any]:
    if param.items is not None:
        least = param.min_items or 0
        most = min(param.max_items or 99, least + 2)
        item = st.sampled_from(MEDIA) if param.media else values(param.items)
        return st.lists(item, min_size=least, max_size=most)
    if param.type == "object":
        return members(param.properties) if param.properties else FREE
    if param.form == "size":
        return sizes(param)
    if param.enum:
        return st.sampled_from(param.enum)
    return {"string": texts, "integer": integers, "number": numbers, "boolean": booleans}[
        param.type
    ](param)


def sizes(param: Param) -> st.SearchStrategy[str]:
    step = int(param.multiple_of or 1)
    low, high = int(param.minimum or 1), int(param.maximum or 99_999)
    side = st.integers(-(-low // step), high // step).map(lambda n: n * step)
    exact = st.tuples(side, side).map(lambda sides: f"{sides[0]}x{sides[1]}")
    return st.sampled_from(param.enum) | exact if param.enum else exact


def texts(param: Param) -> st.SearchStrategy[str]:
    if param.media is not None:
        return st.sampled_from(MEDIA)
    if param.form == "number":
        low, high = int(param.minimum or 0), int(param.maximum or 99)
        return st.integers(low, high).map(str) | st.just("auto")
    least = param.min_length or 0
    return st.text(min_size=least, max_size=max(least, min(param.max_length or 99, 6)))


def integers(param: Param) -> st.SearchStrategy[int]:
    step = int(param.multiple_of or 1)
    low, high = bounds(param)
    return st.integers(-(-int(low) // step), int(high) // step).map(lambda n: n * step)


def numbers(param: Param) -> st.SearchStrategy[float]:
    low, high = bounds(param)
    if param.multiple_of:
        step = param.multiple_of
        counts = st.integers(round(low / step), round(high / step))
        shut = (param.exclusive_minimum, param.exclusive_maximum)
        drawn = counts.map(lambda n: round(n * step, 9))
        return drawn.filter(lambda x: low <= x <= high and x not in shut)
    return st.floats(
        low,
        high,
        allow_nan=False,
        exclude_min=low == param.exclusive_minimum,
        exclude_max=high == param.exclusive_maximum,
    )


def bounds(param: Param) -> tuple[float, float]:
    """Return the least and the greatest number to draw, a step inside an integer's open bounds."""
    step = 1 if param.type == "integer" else 0
    lows = [b for b in (param.minimum, shifted(param.exclusive_minimum, step)) if b is not None]
    highs = [b for b in (param.maximum, shifted(param.exclusive_maximum, -step)) if b is not None]
    low = max(lows) if lows else min([-1000, *highs])
    return low, min(highs) if highs else max(1000, low + 1000)


def shifted(bound: float | None, step: int) -> float | None:
    return None if bound is None else bound + step


def booleans(param: Param) -> st.SearchStrategy[bool]:
    return st.booleans()


def for_every_model(examples: int, check: Check) -> None:
    """Run a check with so many arguments drawn for each model; there are some 1,600 of them."""
    for model in every_model():
        run_for(model, examples, check)


def run_for(model: Model, examples: int, check: Check) -> None:
    @settings(each, max_examples=examples)
    @given(calls(model))
    def run(arguments: dict[str, JSON]) -> None:
        note(f"{model.id} ({model.source})")
        check(model, arguments)

    run()


def test_whatever_a_schema_allows_passes_and_makes_a_request_that_reads_back() -> None:
    def check(model: Model, arguments: dict[str, JSON]) -> None:
        whole = complete(model, arguments)
        assert whole.items() >= arguments.items()
        for route in model.routes:
            wire = request_for(model, route, whole)
            json.dumps(wire, allow_nan=False)
            if route.backend == "fal":
                again = arguments_of(model, route, wire)
                assert request_for(model, route, again) == wire
                assert without_loss(route, again) == without_loss(route, whole)
                check_by_the_place(str(route.spec["endpoint"]), wire)

    for_every_model(3, check)


def without_loss(route: Route, arguments: dict[str, JSON]) -> dict[str, JSON]:
    """Leave out what a route never sees, and seconds that it rounds to whole frames."""
    rules = route.spec.get("map", {})
    lost = [n for n, r in rules.items() if r is None or (isinstance(r, dict) and "times" in r)]
    return {name: value for name, value in arguments.items() if name not in lost}


def check_by_the_place(endpoint: str, wire: dict[str, JSON]) -> None:
    """Check a request by the place's own facts, whatever a card has made of its arguments."""
    place = every_endpoint()[endpoint]
    assert all(well_formed(param, wire) for param in place.inputs)
    complete(place, arguments_of(place, place.routes[0], wire))


def well_formed(param: Param, wire: dict[str, JSON]) -> bool:
    """Whether an argument is written as its place wants it."""
    value = wire.get(param.name)
    if value is None:
        return True
    if param.form == "size":
        return value in param.enum or {type(side) for side in value.values()} == {int}
    if param.form == "number":
        return isinstance(value, int | float) or not value.isdecimal()
    kinds = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict}
    return isinstance(value, kinds.get(param.type, int | float))


def test_whatever_a_schema_does_not_allow_is_named() -> None:
    def check(model: Model, arguments: dict[str, JSON]) -> None:
        for field, wrong in mutations(model, arguments):
            with pytest.raises(InvalidArguments) as caught:
                complete(model, wrong)
            assert field in [problem.field for problem in caught.value.problems], (field, wrong)
            assert field in caught.value.message

    for_every_model(1, check)


def mutations(model: Model, arguments: dict[str, JSON]) -> Iterator[tuple[str, dict[str, JSON]]]:
    """Yield the arguments with one thing wrong, and the field that must be named."""
    yield "no_such_argument", arguments | {"no_such_argument": 1}
    for param in model.inputs:
        if param.replaced_by:
            continue
        if param.required:
            yield param.name, {n: v for n, v in arguments.items() if n != param.name}
        for place, value in wrong_values(param, param.name):
            yield place, arguments | {param.name: value}


def wrong_values(param: Param, place: str) -> Iterator[tuple[str, JSON]]:
    """Yield values that a parameter does not take, and the place of what is wrong in each."""
    yield place, WRONG[param.type]
    yield from ((place, value) for value in out_of_range(param))
    if param.enum and param.type == "string":
        yield place, "no such choice"
    if param.form == "size":
        yield from ((place, size) for size in ("0x0", "wide", f"{99_999}x{10**6}"))
        if param.maximum:
            yield place, f"{int(param.maximum) + 1}x64"
    if param.items is not None:
        for inner, value in wrong_values(param.items, f"{place}[0]"):
            yield inner, [value] * max(param.min_items or 1, 1)
        if param.max_items and param.max_items < 20:
            yield place, [None] * (param.max_items + 1)
    if param.properties:
        yield f"{place}.no_such_member", {"no_such_member": 1}
        for member in param.properties:
            if member.required:
                yield f"{place}.{member.name}", {}
            for inner, value in wrong_values(member, f"{place}.{member.name}"):
                yield inner, {member.name: value}


def out_of_range(param: Param) -> Iterator[JSON]:
    if param.form:
        return
    if param.type in ("integer", "number") and not param.enum:
        for bound, step in (
            (param.minimum, -1),
            (param.exclusive_minimum, 0),
            (param.maximum, 1),
            (param.exclusive_maximum, 0),
        ):
            if bound is not None:
                yield bound + step * max(1, abs(bound) // 2**50)
        if param.multiple_of and (param.type == "number" or param.multiple_of > 1):
            yield between_steps(param, param.multiple_of)
    if param.type == "string" and param.max_length and not param.enum:
        yield "x" * (param.max_length + 1)
    if param.type == "string" and param.min_length and not param.enum:
        yield "x" * (param.min_length - 1)


def between_steps(param: Param, step: float) -> float:
    """Return a number within the bounds that is no multiple of `step`."""
    low = -(-bounds(param)[0] // step) * step
    return low + (1 if param.type == "integer" else step / 2)


def test_every_schema_is_one_that_clients_take() -> None:
    for model in every_model():
        assert TOOL_NAME.match(model.tool), model.id
        json.dumps(input_schema(model), allow_nan=False)


def test_the_catalog_that_ships_is_without_fault() -> None:
    models = every_model()
    known = {model.id for model in models}
    found = [
        f"{model.source}: {model.id}: {fault}"
        for model in models
        for fault in (*lint.errors(model, known), *lint.warnings(model))
    ]
    found += [f"{model.source}: {fault}" for model, fault in lint.clashes(models)]
    assert found == []


def test_every_kind_of_media_is_taken_somewhere() -> None:
    """What is drawn above would prove little if the catalog were empty."""
    models = every_model()
    assert len(models) > 1575
    assert {param.media for model in models for param in model.inputs} >= set(MediaKind) - {
        MediaKind.TEXT
    }
