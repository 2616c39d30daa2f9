"""Checks arguments against a model's schema and says, per argument, what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from jsonschema_rs import Draft202012Validator, ValidationError

from media_mcp.catalog.model import Model
from media_mcp.catalog.schema import defaults, input_schema
from media_mcp.errors import InvalidArguments, Problem, did_you_mean
from media_mcp.job import JSON


class Validator:
    """A compiled schema. `check` raises `InvalidArguments` with one problem per fault."""

    def __init__(self, schema: Mapping[str, JSON]) -> None:
        self.schema = schema
        self._compiled = Draft202012Validator(dict(schema))

    def check(self, arguments: Mapping[str, JSON]) -> None:
        problems = _not_json(arguments) or list(self._problems(arguments))
        if problems:
            raise InvalidArguments(problems, "Correct the arguments and call again.")

    def _problems(self, arguments: Mapping[str, JSON]) -> Iterable[Problem]:
        for error in self._compiled.iter_errors(dict(arguments)):
            yield from _explain(error, self.schema)


@lru_cache(maxsize=4096)
def validator_of(model: Model) -> Validator:
    """Return the model's validator, compiled once."""
    return Validator(input_schema(model))


def complete(model: Model, arguments: Mapping[str, JSON]) -> dict[str, JSON]:
    """Check `arguments` and return them with every default filled in; nulls count as not given.

    Raises `InvalidArguments`.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    validator_of(model).check(given)
    return defaults(model) | given


def _not_json(arguments: Mapping[str, JSON]) -> list[Problem]:
    """NaN, an int of 5,000 digits and endless nesting would slip through the compiled schema."""
    try:
        json.dumps(dict(arguments), allow_nan=False)
    except (ValueError, TypeError, RecursionError) as error:
        return [Problem("arguments", f"are not plain JSON: {error}.")]
    return []


def _explain(error: ValidationError, schema: Mapping[str, JSON]) -> Iterable[Problem]:
    field = _path(error.instance_path)
    kind = error.kind.name
    known = list(schema["properties"])
    if kind == "required":
        missing = error.kind.as_dict()["property"]
        yield Problem(missing, f"is required. {_describe(schema, missing)}".strip())
    elif kind == "additionalProperties":
        for name in error.kind.as_dict()["unexpected"]:
            near = did_you_mean(name, known) or f"Known arguments: {', '.join(known)}."
            yield Problem(name, f"is not an argument here. {near}")
    else:
        yield Problem(field, _sentence(error, kind))


def _describe(schema: Mapping[str, JSON], name: str) -> str:
    return str(schema["properties"].get(name, {}).get("description", ""))


def _path(parts: Iterable[Any]) -> str:
    path = ""
    for part in parts:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path or "arguments"


_BOUNDS = {
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
    "multipleOf": "must be a multiple of {}",
    "maxLength": "must be at most {} characters long",
    "minLength": "must be at least {} characters long",
    "maxItems": "must have at most {} items",
    "minItems": "must have at least {} items",
}


def _sentence(error: ValidationError, kind: str) -> str:
    given = _shown(error.instance)
    if kind == "type":
        return f"must be of type {_types(error.kind)}, but {given} was given."
    if kind == "enum":
        options = error.kind.as_dict()["options"]
        near = did_you_mean(str(error.instance), [str(option) for option in options], 1)
        choices = ", ".join(map(_shown, options))
        return f"must be one of {choices}, but {given} was given. {near}".strip()
    if kind in _BOUNDS:
        limit = next(iter(error.kind.as_dict().values()))
        number = int(limit) if float(limit).is_integer() else limit
        return f"{_BOUNDS[kind].format(number)}, but {given} was given."
    return f"{error.message}."


def _types(kind: Any) -> str:
    types = next(iter(kind.as_dict().values()))
    return types if isinstance(types, str) else " or ".join(types)


def _shown(value: JSON) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}…"
