"""Arguments in a route's own words, and back: names, sizes, durations and what a card has fixed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import Field, ValidationError

from media_mcp.catalog.format import Strict, fault_of
from media_mcp.catalog.forms import (
    from_form,
    is_number,
    number_of,
    read,
    sides_of,
    size_text,
    text_of,
    to_form,
    written,
)
from media_mcp.catalog.model import Form, Model
from media_mcp.errors import BadCard
from media_mcp.job import JSON, Route

PROMPT = "prompt"
BLANK = "{prompt}"


class Rule(Strict):
    """How one argument is written: to which name (two for a size, none if it is not sent), and how.

    `times`, `plus` and `step` turn seconds into frames: so many a second, in multiples of `step`,
    and then `plus` more.
    """

    to: str | tuple[str, str] | None
    as_: str = Field(default="", alias="as", pattern=r"^(|integer|number|string|[^{}]*\{\}[^{}]*)$")
    times: float = Field(default=0, ge=0)
    plus: int = 0
    step: int = Field(default=1, ge=1)


class _Spec(Strict, extra="ignore"):
    """What a route's spec says of requests; all else in it is the backend's own."""

    map: Mapping[str, Rule | str | None] = Field(default={})
    set: Mapping[str, JSON] = Field(default={})
    fixed: Mapping[str, JSON] = Field(default={})
    forms: Mapping[str, Form] = Field(default={})
    template: str = ""

    def rule(self, name: str) -> Rule:
        rule = self.map.get(name, name)
        return rule if isinstance(rule, Rule) else Rule(to=rule)


def request_for(model: Model, route: Route, arguments: Mapping[str, JSON]) -> dict[str, JSON]:
    """Write complete arguments as `route` takes them; absent ones and nulls are left out.

    Raises `BadCard` when the route's spec says something that cannot be done.
    """
    spec = _spec(model, route)
    given = {name: value for name, value in arguments.items() if value is not None}
    given |= spec.fixed
    if spec.template:
        given[PROMPT] = _templated(spec.template, str(given.get(PROMPT, "")))
    wire: dict[str, JSON] = {}
    for name, value in given.items():
        wire |= _write(spec.rule(name), value, _Words(model, spec, name))
    return wire | dict(spec.set)


def arguments_of(model: Model, route: Route, wire: Mapping[str, JSON]) -> dict[str, JSON]:
    """Read a request in the words of `route`; names that mean nothing there stay as they are.

    Raises `BadCard` like `request_for`.
    """
    spec = _spec(model, route)
    rest = {name: value for name, value in wire.items() if value is not None}
    rest = {name: value for name, value in rest.items() if spec.set.get(name) != value}
    found: dict[str, JSON] = {}
    for name in dict.fromkeys([*spec.map, *spec.fixed, *(param.name for param in model.inputs)]):
        found |= _read(spec.rule(name), rest, _Words(model, spec, name))
    left = {name: _Words(model, spec, name).read(value) for name, value in rest.items()}
    return _unfixed(spec, left | found)


def heard(model: Model, endpoint: Model, route: Route, wire: Mapping[str, JSON]) -> dict[str, JSON]:
    """Read a request of a client that knows the model as its `endpoint` declares it.

    What our card hides is left out, and so is a word of the endpoint's (`auto`) for what is a
    number with us: both mean that the model decides. Raises `BadCard` like `request_for`.
    """
    arguments = arguments_of(model, route, wire)
    words = {word for param in endpoint.inputs for word in param.enum if isinstance(word, str)}

    def meant(name: str, value: JSON) -> bool:
        param = model.param(name)
        if param is None:
            return endpoint.param(name) is None
        is_number = param.type in ("integer", "number")
        return not (is_number and isinstance(value, str) and value in words)

    return {name: value for name, value in arguments.items() if meant(name, value)}


def check_spec(spec: Mapping[str, JSON]) -> tuple[str, ...]:
    """Return the inputs that a route's spec maps by name. Raises `CardFault` for a wrong spec."""
    try:
        return tuple(_Spec.model_validate(spec).map)
    except ValidationError as error:
        raise fault_of(error, ("spec",)) from None


@dataclass(frozen=True, slots=True)
class _Words:
    """How one argument is said: by the model's input, or by what a card has fixed."""

    model: Model
    spec: _Spec
    name: str

    def written(self, value: JSON) -> JSON:
        param = self.model.param(self.name)
        return written(param, value) if param else to_form(self._form(), value)

    def read(self, value: JSON) -> JSON:
        param = self.model.param(self.name)
        return read(param, value) if param else from_form(self._form(), value)

    def number(self, value: float) -> JSON:
        """Return a number as the argument holds it: as text where that is a text."""
        param = self.model.param(self.name)
        is_text = param.type == "string" if param else isinstance(self._fixed(), str)
        return text_of(value) if is_text else int(value) if float(value).is_integer() else value

    def _form(self) -> Form:
        return self.spec.forms.get(self.name, "")

    def _fixed(self) -> JSON:
        return self.spec.fixed.get(self.name)


def _spec(model: Model, route: Route) -> _Spec:
    try:
        return _Spec.model_validate(route.spec)
    except ValidationError as error:
        fault = fault_of(error, ("spec",))
        raise BadCard(f"{model.source}: {model.id}: {fault}.", "Mend the card.") from None


def _write(rule: Rule, value: JSON, words: _Words) -> dict[str, JSON]:
    if rule.to is None:
        return {}
    if isinstance(rule.to, tuple):
        sides = sides_of(value)
        return dict(zip(rule.to, sides, strict=True)) if sides else {}
    number = _number(value)
    if rule.times and number is not None:
        steps = round(number * rule.times / rule.step)
        return {rule.to: steps * rule.step + rule.plus}
    if rule.as_:
        return {rule.to: _cast(rule.as_, value, number)}
    return {rule.to: words.written(value)}


def _cast(kind: str, value: JSON, number: float | None) -> JSON:
    """Say a number as a route does; a word such as `auto` stays a word."""
    if number is None:
        return value
    if kind == "integer":
        return round(number)
    if kind == "number":
        return number
    return text_of(number) if kind == "string" else kind.replace("{}", text_of(number))


def _read(rule: Rule, rest: dict[str, JSON], words: _Words) -> dict[str, JSON]:
    """Take what `rule` writes out of `rest`; nothing if it is not there or of another kind."""
    if isinstance(rule.to, tuple):
        return _read_size(rule.to, rest, words.name)
    if rule.to not in rest or rule.to is None:
        return {}
    value = rest.pop(rule.to)
    number = _number(_inside(rule.as_, value))
    if rule.times and number is not None:
        return {words.name: words.number((number - rule.plus) / rule.times)}
    if rule.as_ and number is not None:
        return {words.name: words.number(number)}
    return {words.name: words.read(value)}


def _inside(kind: str, value: JSON) -> JSON:
    """Return what stands at the `{}` of a text format, or the value itself."""
    before, blank, after = kind.partition("{}")
    fits = isinstance(value, str) and value.startswith(before) and value.endswith(after)
    return value[len(before) : len(value) - len(after)] if blank and fits else value


def _read_size(names: tuple[str, str], rest: dict[str, JSON], name: str) -> dict[str, JSON]:
    width, height = (rest.get(side) for side in names)
    size = size_text({"width": width, "height": height})
    if not size:
        return {}
    for side in names:
        del rest[side]
    return {name: size}


def _unfixed(spec: _Spec, arguments: Mapping[str, JSON]) -> dict[str, JSON]:
    """Leave out what the card has fixed, and the words that it put around the prompt."""
    own = {n: v for n, v in arguments.items() if n not in spec.fixed or spec.fixed[n] != v}
    prompt = own.get(PROMPT)
    bare = _bare(spec.template, prompt) if isinstance(prompt, str) and spec.template else None
    if bare is None:
        return own
    return {n: v for n, v in own.items() if n != PROMPT} | ({PROMPT: bare} if bare else {})


def _templated(template: str, prompt: str) -> str:
    return template.replace(BLANK, prompt) if prompt else template.replace(BLANK, "").strip()


def _bare(template: str, text: str) -> str | None:
    """Return the prompt that `template` made `text` of, or None if it did not."""
    start, times = template.find(BLANK), template.count(BLANK)
    length = (len(text) - len(template.replace(BLANK, ""))) // times if times else 0
    inside = text[start : start + length]
    return next((one for one in (inside, "") if _templated(template, one) == text), None)


def _number(value: JSON) -> float | None:
    if isinstance(value, str):
        return number_of(value)
    return value if is_number(value) else None
