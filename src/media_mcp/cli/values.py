"""Reads `key=value` words into a model's arguments, by the types that its card declares."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from media_mcp.catalog.model import Model, Param
from media_mcp.errors import BadInput, InvalidArguments, Problem
from media_mcp.job import JSON
from media_mcp.queue.agreement import CONSENT

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|data:", re.IGNORECASE)
_JSON_TYPES = frozenset({"integer", "number", "boolean", "array", "object"})


def arguments_of(model: Model, pairs: Iterable[str]) -> dict[str, JSON]:
    """Return the arguments in `pairs`; `key=@file` reads a file's text, `key=@@x` means `@x`.

    Numbers, booleans, arrays and objects are read as JSON, all else is text; a value that is not
    JSON stays text, and the model's schema says what is wrong with it. An array may also be given
    item by item, its key repeated. Raises `BadInput` for a word without `=` and a file that cannot
    be read, and `InvalidArguments` for a key that is given twice.
    """
    arguments: dict[str, JSON] = {}
    for pair in pairs:
        name, text = _split(pair)
        param = model.param(name)
        value = _value(param, name, _text(name, text))
        if name in arguments:
            value = _more(param, name, arguments[name], value)
        arguments[name] = value
    return arguments


def _split(pair: str) -> tuple[str, str]:
    name, equals, text = pair.partition("=")
    if not equals or not name:
        raise BadInput(
            f"{pair!r} is not an argument of a model.",
            'Write key=value, as in prompt="a red boat" seed=11.',
        )
    return name, text


def _text(name: str, text: str) -> str:
    if text.startswith("@@") or not text.startswith("@"):
        return text.removeprefix("@") if text.startswith("@@") else text
    if text == "@-":
        return sys.stdin.read().removesuffix("\n")
    path = Path(text[1:]).expanduser()
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise BadInput(
            f"{name}: {path} cannot be read: {why}.",
            "Correct the path; @@ begins a value that starts with @.",
        ) from None


def _value(param: Param | None, name: str, text: str) -> JSON:
    if param is None:
        return _parsed(text) if name == CONSENT else text
    if param.type in _JSON_TYPES:
        value = _parsed(text)
        return _array(param, value) if param.type == "array" else value
    return _path(text) if param.media else text


def _array(param: Param, value: JSON) -> list[JSON]:
    given = value if isinstance(value, list) else [value]
    if param.media is None:
        return given
    return [_path(one) if isinstance(one, str) else one for one in given]


def _parsed(text: str) -> JSON:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _path(text: str) -> str:
    """Make a path absolute: what is typed is relative to the working folder and nothing else."""
    if _ADDRESS.match(text) or not text.strip():
        return text
    return str(Path(text).expanduser().absolute())


def _more(param: Param | None, name: str, before: JSON, value: JSON) -> JSON:
    if param is not None and param.type == "array":
        return [*before, *value]
    raise InvalidArguments([Problem(name, "is given twice.")], "Give it once.")
