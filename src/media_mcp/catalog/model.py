"""What a card declares: a model with typed inputs and outputs, its licence and its routes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from media_mcp.job import JSON, MediaKind, Route

TOOL_NAME = re.compile(r"^[a-z][a-z0-9_]{0,44}$")
ParamType = Literal["string", "integer", "number", "boolean", "array", "object"]


@dataclass(frozen=True, slots=True)
class Param:
    """One input. `media` names the kind of media a string (or each string of an array) points at.

    Bounds are inclusive; `max_items` and `items` are for arrays; `unit` is for people (`px`, `s`).
    """

    name: str
    type: ParamType
    description: str
    required: bool = False
    default: JSON = None
    minimum: float | None = None
    maximum: float | None = None
    multiple_of: float | None = None
    enum: tuple[JSON, ...] = ()
    max_length: int | None = None
    media: MediaKind | None = None
    items: ParamType | None = None
    max_items: int | None = None


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """One output: its role in the result (`images`, `video`, `text`) and the kind of media."""

    role: str
    kind: MediaKind
    mime_type: str


@dataclass(frozen=True, slots=True)
class Example:
    """A call worth showing: what it is for and its arguments."""

    title: str
    arguments: Mapping[str, JSON]


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """An entry of the catalog; compared by identity, so that it can key a cache."""

    id: str
    tool: str
    title: str
    description: str
    task: str
    licence: str
    inputs: tuple[Param, ...]
    outputs: tuple[OutputSpec, ...]
    routes: tuple[Route, ...]
    provider: str = ""
    search_hint: str = ""
    featured: bool = False
    examples: tuple[Example, ...] = ()
    source: str = ""

    def param(self, name: str) -> Param | None:
        """Return the input called `name`, or None."""
        return next((p for p in self.inputs if p.name == name), None)


def tool_name(model_id: str) -> str:
    """Derive a tool name from a model id: `fal-ai/flux/dev` becomes `fal_ai_flux_dev`."""
    name = re.sub(r"[^a-z0-9]+", "_", model_id.lower()).strip("_")
    return (name if name[:1].isalpha() else f"m_{name}")[:45].rstrip("_")
