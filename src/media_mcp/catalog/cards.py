"""Reads model cards: YAML files, each a model or a family of variants, into `Model` values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from media_mcp.catalog.model import (
    TOOL_NAME,
    Example,
    Model,
    OutputSpec,
    Param,
    ParamType,
    tool_name,
)
from media_mcp.errors import BadCard
from media_mcp.job import JSON, MediaKind, Price, Route

MAX_WORDS = 50  # the tool adds price and licence and stays within 60
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Param(_Strict):
    type: ParamType
    description: str = Field(min_length=1, max_length=300)
    required: bool = False
    default: JSON = None
    minimum: float | None = None
    maximum: float | None = None
    multiple_of: float | None = Field(default=None, gt=0)
    enum: tuple[JSON, ...] = ()
    max_length: int | None = Field(default=None, gt=0)
    media: MediaKind | None = None
    items: ParamType | None = None
    max_items: int | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _consistent(self) -> _Param:
        if self.required and self.default is not None:
            raise ValueError("a required input cannot have a default")
        if (self.type == "array") != (self.items is not None):
            raise ValueError("`items` belongs to an array, and an array needs it")
        if self.enum and self.default is not None and self.default not in self.enum:
            raise ValueError(f"the default {self.default!r} is not in the enum")
        return self


class _Output(_Strict):
    kind: MediaKind
    mime_type: str = Field(pattern=r"^[a-z0-9]+/[a-z0-9.+-]+$")


class _Price(_Strict):
    amount: float = Field(ge=0)
    unit: str
    certainty: Literal["exact", "listed", "estimated", "unknown"] = "listed"
    as_of: str = ""


class _Route(_Strict):
    backend: str = Field(min_length=1)
    spec: dict[str, JSON] = {}
    price: _Price | None = None


class _Example(_Strict):
    title: str
    arguments: dict[str, JSON]


class _Card(_Strict):
    id: str = Field(pattern=r"^[a-z0-9][a-z0-9._/-]{0,127}$")
    title: str = Field(min_length=1, max_length=80)
    description: str = Field(min_length=1)
    task: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    licence: str = Field(min_length=1)
    inputs: dict[str, _Param]
    outputs: dict[str, _Output] = Field(min_length=1)
    routes: tuple[_Route, ...] = Field(min_length=1)
    tool: str = ""
    provider: str = ""
    search_hint: str = ""
    featured: bool = False
    examples: tuple[_Example, ...] = ()

    @field_validator("description")
    @classmethod
    def _short(cls, description: str) -> str:
        words = description.split()
        if len(words) > MAX_WORDS:
            raise ValueError(f"it has {len(words)} words; the bound is {MAX_WORDS}")
        return " ".join(words)

    @field_validator("tool")
    @classmethod
    def _callable(cls, tool: str) -> str:
        if tool and not TOOL_NAME.match(tool):
            raise ValueError(f"{tool!r} must match {TOOL_NAME.pattern}")
        return tool

    @model_validator(mode="after")
    def _examples_fit(self) -> _Card:
        for example in self.examples:
            unknown = set(example.arguments) - set(self.inputs)
            if unknown:
                raise ValueError(f"the example {example.title!r} uses unknown {sorted(unknown)}")
        return self

    def model(self, source: str) -> Model:
        given = self.model_dump()
        return Model(
            **given
            | {
                "tool": self.tool or tool_name(self.id),
                "inputs": tuple(Param(name, **p) for name, p in given["inputs"].items()),
                "outputs": tuple(OutputSpec(role, **o) for role, o in given["outputs"].items()),
                "routes": tuple(_route(route) for route in given["routes"]),
                "examples": tuple(Example(**e) for e in given["examples"]),
                "source": source,
            }
        )


def _route(given: dict[str, Any]) -> Route:
    price = given["price"]
    return Route(given["backend"], given["spec"], Price(**price) if price else None)


def load_folder(folder: Path) -> Iterator[Model]:
    """Yield the models of every card in a folder, by file name. A missing folder holds none."""
    for path in sorted(folder.glob("*.y*ml")):
        yield from load_card(path)


def load_card(path: Path) -> list[Model]:
    """Read one card. Raises `BadCard` with the file, the line and what is wrong there."""
    try:
        text = path.read_text(encoding="utf-8")
        raw = yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader, the C one if built
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise _bad(path, line, str(error.problem)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadCard(f"{path} cannot be read: {error}.", "Mend or remove the file.") from None
    if not isinstance(raw, dict):
        raise _bad(path, 1, "a card is a mapping with id, title, task, inputs, outputs and routes")
    return [_parse(path, text, keys, merged) for keys, merged in _variants(path, raw)]


def _variants(path: Path, raw: dict[str, Any]) -> Iterable[tuple[tuple[str | int, ...], Any]]:
    """Yield each variant laid over what the family shares, with where it stands in the file."""
    variants = raw.get("variants")
    if variants is None:
        return [((), raw)]
    if not isinstance(variants, list) or not all(isinstance(v, dict) for v in variants):
        raise _bad(path, 1, "`variants` is a list of mappings")
    shared = {key: value for key, value in raw.items() if key != "variants"}
    return [(("variants", i), _merge(shared, v)) for i, v in enumerate(variants)]


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(merged.get(key), dict) and isinstance(value, dict)
        merged[key] = _merge(merged[key], value) if both else value
        if value is None:
            del merged[key]
    return merged


def _parse(path: Path, text: str, prefix: tuple[str | int, ...], raw: Any) -> Model:
    try:
        return _Card.model_validate(raw).model(str(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = tuple(part for part in first["loc"])
        line = _line(text, prefix + where) or _line(text, where) or 1
        name = ".".join(map(str, where)) or "the card"
        raise _bad(path, line, f"{name}: {first['msg'].removeprefix('Value error, ')}") from None


def _bad(path: Path, line: int, what: str) -> BadCard:
    return BadCard(f"{path}:{line}: {what}.", "Mend the card; CONTRIBUTING.md shows the format.")


def _line(text: str, keys: tuple[str | int, ...]) -> int | None:
    """Return the line (from 1) on which the value at `keys`, or its nearest parent, stands."""
    node = yaml.compose(text, Loader=_Loader)
    line = None
    for key in keys:
        found = _child(node, key)
        if found is None:
            return line
        line, node = found
    return line


def _child(node: Any, key: str | int) -> tuple[int, Any] | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
        item = node.value[key]
        return item.start_mark.line + 1, item
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value == str(key):
                return name.start_mark.line + 1, value
    return None
