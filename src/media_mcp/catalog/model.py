"""What a card declares: a model with typed inputs and outputs, its licence and its routes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2s
from typing import Literal

from media_mcp.job import JSON, MediaKind, Route

TOOL_NAME = re.compile(r"^[a-z][a-z0-9_]{0,44}$")
MODEL_ID = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*$")
LONGEST_TOOL = 45
ParamType = Literal["string", "integer", "number", "boolean", "array", "object"]
Form = Literal["", "size", "number"]
Shape = Literal["file", "files", "url", "urls", "value"]
Speed = Literal["", "instant", "fast", "medium", "slow"]


@dataclass(frozen=True, slots=True)
class Param:
    """One input. `media` names the kind of media a string (or each string of an array) points at.

    `minimum` and `maximum` are inclusive. `items` describes the elements of an array (its name is
    empty), `properties` the members of an object; an object without any is free. `limits` are what
    the place that runs it asks of the media: `min_width`, `max_height` (pixels), `max_duration`
    (seconds), `max_file_size` (bytes), … `role` says what the media is for: `start_frame`,
    `end_frame`, `mask`, `reference`, `control`. `form` says how a route writes the value where it
    is not as we do: a `size` (`landscape_4_3` or `1280x720`; `enum` holds the presets, `maximum`
    the longest side) as a preset or `{width, height}`, a `number` as a number where the text is
    one. `replaced_by` names the input that takes over from a deprecated one, if one does.
    """

    name: str
    type: ParamType
    description: str = ""
    required: bool = False
    default: JSON = None
    minimum: float | None = None
    maximum: float | None = None
    exclusive_minimum: float | None = None
    exclusive_maximum: float | None = None
    multiple_of: float | None = None
    enum: tuple[JSON, ...] = ()
    min_length: int | None = None
    max_length: int | None = None
    media: MediaKind | None = None
    role: str = ""
    limits: Mapping[str, float] = field(default_factory=dict)
    items: Param | None = None
    properties: tuple[Param, ...] = ()
    min_items: int | None = None
    max_items: int | None = None
    form: Form = ""
    deprecated: bool = False
    replaced_by: str = ""


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """One media output: its role in the result (`images`, `video`, `text`) and the kind of media.

    `shape` is how a queue API writes it: an object with a `url` (`file`), an array of those, a bare
    URL or an array of URLs, or the value itself (`value`: text and data).
    """

    role: str
    kind: MediaKind
    mime_type: str
    shape: Shape = "file"


@dataclass(frozen=True, slots=True)
class ValueSpec:
    """What a result holds beside its media (`seed`, `timings`): its name and JSON type."""

    name: str
    type: ParamType | Literal["any"]


@dataclass(frozen=True, slots=True)
class Example:
    """A call worth showing: what it is for and its arguments."""

    title: str
    arguments: Mapping[str, JSON]


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """An entry of the catalog; compared by identity, so that it can key a cache.

    `family` groups variants; `good_at` and `bad_at` are short phrases; `speed` is a class (see
    `describe.SPEEDS`); `policy` says what the provider refuses; `uncertain` says what is not known
    for sure, in words; `retired` models may be gone where they ran, and `successor` is the id of
    what to use instead. `alternatives` are ids of models with open weights that can stand in for
    this one on a machine of one's own. `as_of` is the date of the facts;
    `own` models are declared by a card of the user's.
    """

    id: str
    tool: str
    title: str
    description: str
    task: str
    licence: str
    inputs: tuple[Param, ...]
    outputs: tuple[OutputSpec, ...]
    routes: tuple[Route, ...]
    values: tuple[ValueSpec, ...] = ()
    provider: str = ""
    family: str = ""
    good_at: tuple[str, ...] = ()
    bad_at: tuple[str, ...] = ()
    speed: Speed = ""
    policy: str = ""
    search_hint: str = ""
    featured: bool = False
    examples: tuple[Example, ...] = ()
    uncertain: str = ""
    retired: bool = False
    successor: str = ""
    alternatives: tuple[str, ...] = ()
    as_of: str = ""
    source: str = ""
    own: bool = False

    def param(self, name: str) -> Param | None:
        """Return the input called `name`, or None."""
        return next((p for p in self.inputs if p.name == name), None)


def every_param(params: tuple[Param, ...]) -> Iterator[Param]:
    """Yield inputs and all that is nested in them, depth first."""
    for param in params:
        yield param
        yield from every_param((*param.properties, *((param.items,) if param.items else ())))


def tool_name(model_id: str, *, numbered: bool = False) -> str:
    """Derive a tool name from a model id: `fal-ai/flux/dev` becomes `flux_dev`.

    The same id gives the same name whatever else is in the catalog. One that would be too long, or
    that must give way to another model's (`numbered`), ends in four digits of the id's hash.
    """
    name = re.sub(r"[^a-z0-9]+", "_", model_id.lower()).strip("_").removeprefix("fal_ai_")
    name = name if name[:1].isalpha() else f"m_{name}"
    if len(name) <= LONGEST_TOOL and not numbered:
        return name
    digest = blake2s(model_id.encode(), digest_size=2).hexdigest()
    return f"{name[: LONGEST_TOOL - 5].rstrip('_')}_{digest}"
