"""The format of a card: what one whole mapping may say, and the `Model` that it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from media_mcp.catalog.model import (
    MODEL_ID,
    TOOL_NAME,
    Example,
    Form,
    Model,
    OutputSpec,
    Param,
    ParamType,
    Shape,
    Speed,
    ValueSpec,
    tool_name,
)
from media_mcp.job import JSON, Certainty, MediaKind, Price, PriceCase, Route

MAX_WORDS = 50  # the tool adds price and licence and stays within 60
Where: TypeAlias = tuple[str | int, ...]
_Day = Annotated[
    str,
    BeforeValidator(lambda given: given.isoformat() if isinstance(given, date) else given),
    Field(pattern=r"^(\d{4}-\d{2}(-\d{2})?)?$"),
]
_Number = int | float  # an integer keeps all its digits
_Id = Annotated[str, Field(pattern=MODEL_ID.pattern, max_length=160)]
_Phrases = tuple[Annotated[str, Field(min_length=1, max_length=80)], ...]


class CardFault(Exception):
    """What is wrong with a card, and at which key (`where`) it is."""

    def __init__(self, where: Where, message: str, hint: str = "") -> None:
        super().__init__(where, message)
        self.where = where
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{'.'.join(map(str, self.where)) or 'the card'}: {self.message}"


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Param(Strict):
    type: ParamType
    description: str = Field(default="", max_length=300)
    required: bool = False
    default: JSON = None
    minimum: _Number | None = None
    maximum: _Number | None = None
    exclusive_minimum: _Number | None = None
    exclusive_maximum: _Number | None = None
    multiple_of: Annotated[_Number, Field(gt=0)] | None = None
    enum: tuple[JSON, ...] = ()
    min_length: int | None = Field(default=None, ge=0)
    max_length: int | None = Field(default=None, gt=0)
    media: MediaKind | None = None
    role: str = ""
    limits: dict[str, float] = {}
    items: _Param | None = None
    properties: dict[str, _Param] = {}
    min_items: int | None = Field(default=None, ge=0)
    max_items: int | None = Field(default=None, gt=0)
    form: Form = ""
    deprecated: bool = False
    replaced_by: str = ""

    @field_validator("items", mode="before")
    @classmethod
    def _short_items(cls, items: JSON) -> JSON:
        return {"type": items} if isinstance(items, str) else items

    @model_validator(mode="after")
    def _consistent(self) -> _Param:
        if self.required and self.default is not None:
            raise ValueError("a required input cannot have a default")
        if (self.type == "array") != (self.items is not None):
            raise ValueError("`items` belongs to an array, and an array needs it")
        if self.properties and self.type != "object":
            raise ValueError("`properties` belongs to an object")
        if self.form and self.type != "string":
            raise ValueError(f"the form {self.form} belongs to a string")
        if self.media and self.type not in ("string", "array"):
            raise ValueError("`media` belongs to a string or an array of strings")
        if self.default is not None and self.enum and not self._known(self.default):
            raise ValueError(f"the default {self.default!r} is not in the enum")
        return self

    def _known(self, default: JSON) -> bool:
        return default in self.enum or self.form == "size"

    def param(self, name: str) -> Param:
        given = {key: getattr(self, key) for key in self.model_fields_set}
        if self.items is not None:
            given["items"] = self.items.param("")
        given["properties"] = tuple(p.param(key) for key, p in self.properties.items())
        return Param(name, **given | ({"deprecated": True} if self.replaced_by else {}))


class _Output(Strict):
    kind: MediaKind
    mime_type: str = Field(pattern=r"^[a-z0-9]+/[a-z0-9.+-]+$")
    shape: Shape = "file"


class _Case(Strict):
    when: dict[str, JSON] = Field(min_length=1)
    amount: float = Field(ge=0)
    first: float | None = Field(default=None, ge=0)


class _Price(Strict):
    amount: float = Field(default=0, ge=0)
    unit: str = Field(default="call", min_length=1)
    certainty: Certainty = "listed"
    as_of: _Day = ""
    first: float | None = Field(default=None, ge=0)
    cases: tuple[_Case, ...] = ()
    note: str = Field(default="", max_length=200)

    @model_validator(mode="after")
    def _said(self) -> _Price:
        if self.certainty != "unknown" and not {"amount", "unit"} <= self.model_fields_set:
            raise ValueError("it needs `amount` and `unit`, or `certainty: unknown`")
        return self

    def price(self) -> Price:
        cases = tuple(PriceCase(case.when, case.amount, case.first) for case in self.cases)
        price = (self.amount, self.unit, self.certainty, self.as_of, self.first)
        return Price(*price, cases, self.note)


class _Route(Strict):
    backend: str = Field(min_length=1)
    spec: dict[str, JSON] = {}
    price: _Price | None = None
    licence: str = ""

    def route(self) -> Route:
        price = self.price.price() if self.price else None
        return Route(self.backend, self.spec, price, self.licence)


class _Example(Strict):
    title: str
    arguments: dict[str, JSON]


class _Card(Strict):
    id: _Id
    title: str = Field(min_length=1, max_length=80)
    description: str = Field(min_length=1)
    task: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    licence: str = Field(min_length=1)
    inputs: dict[str, _Param]
    outputs: dict[str, _Output] = Field(min_length=1)
    routes: tuple[_Route, ...] = Field(min_length=1)
    values: dict[str, ParamType | Literal["any"]] = {}
    tool: str = ""
    provider: str = ""
    family: str = ""
    good_at: _Phrases = ()
    bad_at: _Phrases = ()
    speed: Speed = ""
    policy: str = Field(default="", max_length=300)
    search_hint: str = ""
    featured: bool = False
    examples: tuple[_Example, ...] = ()
    uncertain: str = Field(default="", max_length=200)
    retired: bool = False
    successor: str = Field(default="", max_length=160)
    alternatives: tuple[_Id, ...] = ()
    as_of: _Day = ""

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

    def check_names(self) -> None:
        """Raise `CardFault` where an example or an input names an input that is not there."""
        for number, example in enumerate(self.examples):
            if unknown := set(example.arguments) - set(self.inputs):
                words = f"the example {example.title!r} uses unknown {sorted(unknown)}"
                raise CardFault(("examples", number), words)
        for name, param in self.inputs.items():
            if param.replaced_by and param.replaced_by not in self.inputs:
                words = f"{param.replaced_by!r} is no input"
                raise CardFault(("inputs", name, "replaced_by"), words)

    def model(self, source: str) -> Model:
        given = {key: getattr(self, key) for key in self.model_fields_set}
        made = {
            "tool": self.tool or tool_name(self.id),
            "inputs": tuple(param.param(name) for name, param in self.inputs.items()),
            "outputs": tuple(
                OutputSpec(role, o.kind, o.mime_type, o.shape) for role, o in self.outputs.items()
            ),
            "routes": tuple(route.route() for route in self.routes),
            "values": tuple(ValueSpec(name, kind) for name, kind in self.values.items()),
            "examples": tuple(Example(e.title, e.arguments) for e in self.examples),
            "source": source,
        }
        return Model(**given | made)


def parse(raw: Mapping[str, Any], source: str) -> Model:
    """Turn one whole mapping into a model. Raises `CardFault` for the first thing wrong.

    `raw` may say itself where it comes from (`source`); the argument counts.
    """
    try:
        card = _Card.model_validate({k: raw[k] for k in raw if k != "source"})
    except ValidationError as error:
        raise fault_of(error) from None
    card.check_names()
    return card.model(source)


def parse_param(name: str, raw: Any) -> Param:
    """Turn one input of a card into a `Param`. Raises `CardFault`."""
    try:
        return _Param.model_validate(raw).param(name)
    except ValidationError as error:
        raise fault_of(error, ("inputs", name)) from None


def fault_of(error: ValidationError, prefix: Where = ()) -> CardFault:
    """Say the first thing that pydantic found."""
    first = error.errors(include_url=False)[0]
    return CardFault((*prefix, *first["loc"]), first["msg"].removeprefix("Value error, "))
