"""Checks arguments against a model's schema and says, per argument, what is wrong with it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, islice
from typing import Any

from jsonschema_rs import Draft202012Validator, ValidationError

from media_mcp.catalog.explain import explain, form_problems
from media_mcp.catalog.model import Model, Param
from media_mcp.catalog.schema import defaults, input_schema, object_schema
from media_mcp.errors import InvalidArguments, Problem
from media_mcp.job import JSON

MOST = 25  # problems of one call that are told
_HINT = "Correct the arguments and call again."


class Validator:
    """A compiled schema. `check` raises `InvalidArguments` with one problem per fault.

    `params` are the inputs behind the schema, if it has any: what a schema cannot say of them, as
    the longest side of a size, is checked too.
    """

    def __init__(self, schema: Mapping[str, JSON], params: Sequence[Param] = ()) -> None:
        self.schema = schema
        self._params = tuple(params)
        self._compiled = Draft202012Validator(dict(schema))

    def check(self, arguments: Mapping[str, JSON]) -> None:
        if problems := self.problems(arguments):
            raise InvalidArguments(problems, _HINT)

    def problems(self, arguments: Mapping[str, JSON]) -> list[Problem]:
        """Return what is wrong, in the order of the schema's own faults and then of the forms."""
        if problems := _not_json(arguments):
            return problems
        given = dict(arguments)
        try:
            errors = _worst(self._errors(given))
        except ValueError as error:  # half a surrogate pair as a name, lists in lists in lists
            return [_no_json(error)]
        faults = chain.from_iterable(explain(error, self.schema) for error in errors)
        return _first([*islice(faults, MOST + 1), *form_problems(self._params, given)])

    def _errors(self, arguments: dict[str, JSON]) -> Iterator[ValidationError]:
        """Leave out patterns where inputs are known: the check of forms explains those."""
        for error in self._compiled.iter_errors(arguments):
            if not (self._params and error.kind.name == "pattern"):
                yield error


@lru_cache(maxsize=4096)
def validator_of(model: Model) -> Validator:
    """Return the model's validator, compiled once."""
    return Validator(input_schema(model), model.inputs)


@dataclass(frozen=True, slots=True)
class Renamed:
    """Arguments under today's names, and a note for each that was given under an old one."""

    arguments: dict[str, JSON]
    notes: tuple[str, ...] = ()


def renamed(model: Model, arguments: Mapping[str, JSON]) -> Renamed:
    """Move what is given under a replaced name to its new one; nulls count as not given.

    Raises `InvalidArguments` when both are given.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    old = {p.name: p.replaced_by for p in model.inputs if p.replaced_by and p.name in given}
    if twice := [name for name in old if old[name] in given]:
        problems = [Problem(n, f"is the old name of {old[n]}, which is given too.") for n in twice]
        raise InvalidArguments(problems, "Give the new one only.")
    notes = tuple(f"{name} is now called {new}; it was taken as that." for name, new in old.items())
    return Renamed({old.get(name, name): value for name, value in given.items()}, notes)


def complete(model: Model, arguments: Mapping[str, JSON]) -> dict[str, JSON]:
    """Check `arguments` and return them with every default filled in.

    Nulls count as not given, also within objects; old names are taken (`renamed` tells which).
    Raises `InvalidArguments`.
    """
    if problems := _not_json(arguments):
        raise InvalidArguments(problems, _HINT)
    given = _without_nulls(model.inputs, renamed(model, arguments).arguments)
    validator_of(model).check(given)
    return defaults(model) | given


def problems_of(params: Sequence[Param], arguments: Mapping[str, JSON]) -> list[Problem]:
    """Return what is wrong with arguments for these inputs alone."""
    return Validator(object_schema(params), params).problems(arguments)


def _without_nulls(params: Iterable[Param], given: Mapping[str, JSON]) -> dict[str, JSON]:
    known = {param.name: param for param in params}
    return {
        name: _value(known[name], value) if name in known else value
        for name, value in given.items()
        if value is not None
    }


def _value(param: Param, value: JSON) -> JSON:
    if isinstance(value, list) and param.items is not None:
        return [_value(param.items, one) for one in value]
    if isinstance(value, dict) and param.properties:
        return _without_nulls(param.properties, value)
    return value


def _worst(errors: Iterable[ValidationError]) -> list[ValidationError]:
    """Of a value of the wrong type, say only that: its other faults follow from it."""
    by_place: dict[tuple[Any, ...], list[ValidationError]] = defaultdict(list)
    for error in errors:
        by_place[tuple(error.instance_path)].append(error)
    found = []
    for faults in by_place.values():
        wrong_type = [error for error in faults if error.kind.name == "type"]
        found += wrong_type or faults
    return found


def _first(problems: list[Problem]) -> list[Problem]:
    """Keep as many as anybody reads: each of a million unknown names would get its sentence."""
    if len(problems) <= MOST:
        return problems
    return [*problems[:MOST], Problem("arguments", "hold more faults beside these.")]


def _not_json(arguments: Mapping[str, JSON]) -> list[Problem]:
    """NaN, an int of 5,000 digits and endless nesting would slip through the compiled schema, and
    half a surrogate pair would break it.
    """
    try:
        json.dumps(dict(arguments), allow_nan=False, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return [Problem("arguments", "hold half a surrogate pair, which is no text.")]
    except (ValueError, TypeError, RecursionError) as error:
        return [_no_json(error)]
    return []


def _no_json(error: Exception) -> Problem:
    return Problem("arguments", f"are not plain JSON: {error}.")
