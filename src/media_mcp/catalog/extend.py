"""Cards built on another model: some arguments fixed, words around the prompt, LoRAs loaded."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from media_mcp.catalog.format import CardFault, Strict, fault_of, parse_param
from media_mcp.catalog.laying import Raw, filled, laid
from media_mcp.catalog.requests import BLANK, PROMPT
from media_mcp.catalog.validate import problems_of
from media_mcp.errors import did_you_mean
from media_mcp.job import JSON

EXTENSION = ("extends", "fixed", "prompt", "loras")
_NOT_INHERITED = ("id", "tool", "title", "description", "examples", "source")


class _Lora(Strict):
    path: str = Field(min_length=1)
    scale: float = Field(default=1.0, ge=-10, le=10)


class _Extension(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    fixed: dict[str, JSON] = {}
    prompt: str = ""
    loras: tuple[_Lora, ...] = ()


def extend(card: Raw, base: Raw) -> Raw:
    """Return the whole mapping of a card that extends the model of `base`. Raises `CardFault`."""
    asked = _asked(card)
    inherited = {key: value for key, value in base.items() if key not in _NOT_INHERITED}
    own = {key: value for key, value in card.items() if key not in EXTENSION}
    if "routes" in own:
        own["routes"] = filled(own["routes"], base.get("routes"), str(base.get("id")))
    whole = laid(inherited, own)
    _check_shape(whole)
    if asked.loras:
        whole = _with_loras(whole, [lora.model_dump() for lora in asked.loras])
    if asked.prompt:
        whole = _with_template(whole, asked.prompt)
    return _with_fixed(whole, {n: v for n, v in asked.fixed.items() if v is not None})


def _asked(card: Raw) -> _Extension:
    try:
        return _Extension.model_validate({k: card[k] for k in EXTENSION if card.get(k) is not None})
    except ValidationError as error:
        raise fault_of(error) from None


def _check_shape(whole: Raw) -> None:
    """What the steps below look into must be of the right kind; the format checks the rest."""
    inputs, routes = whole.get("inputs"), whole.get("routes")
    if not isinstance(inputs, dict) or not all(isinstance(one, dict) for one in inputs.values()):
        raise CardFault(("inputs",), "it is a mapping of names to inputs")
    if not isinstance(routes, list) or not all(isinstance(route, dict) for route in routes):
        raise CardFault(("routes",), "it is a list of mappings")


def _with_fixed(whole: Raw, fixed: dict[str, JSON]) -> Raw:
    inputs = dict(whole["inputs"])
    forms: dict[str, JSON] = {}
    for name, value in fixed.items():
        if name not in inputs:
            hint = did_you_mean(name, list(inputs))
            raise CardFault(("fixed", name), "the model has no such input", hint)
        param = parse_param(name, inputs.pop(name))
        for problem in problems_of((param,), {name: value}):
            raise CardFault(("fixed", name), problem.message.removesuffix("."))
        forms |= {name: param.form} if param.form else {}
    inputs = {n: i for n, i in inputs.items() if i.get("replaced_by", n) in (n, *inputs)}
    more = {"fixed": fixed, "forms": forms}
    return whole | {"inputs": inputs, "routes": [_more(route, more) for route in whole["routes"]]}


def _with_template(whole: Raw, template: str) -> Raw:
    inputs = dict(whole["inputs"])
    if PROMPT not in inputs:
        raise CardFault(("prompt",), "the model has no input `prompt`")
    if BLANK not in template:
        del inputs[PROMPT]
    elif "max_length" in inputs[PROMPT]:
        inputs[PROMPT] = _shorter(inputs[PROMPT], len(template) - len(BLANK))
    routes = [_around(route, template) for route in whole["routes"]]
    return whole | {"inputs": inputs, "routes": routes}


def _shorter(param: Raw, taken: int) -> Raw:
    left = param["max_length"] - taken
    if left <= 0:
        bound = param["max_length"]
        raise CardFault(("prompt",), f"it leaves no room: the model takes {bound} characters")
    return param | {"max_length": left}


def _around(route: Raw, template: str) -> Raw:
    outer = route.get("spec", {}).get("template") or BLANK
    return _more(route, {"template": outer.replace(BLANK, template)})


def _with_loras(whole: Raw, loras: list[Raw]) -> Raw:
    """Load them where the weights are ours to load; elsewhere only what the model takes by URL."""
    remote = "loras" in whole["inputs"] and not any(_is_file(lora["path"]) for lora in loras)
    routes = [_with_route_loras(route, loras) for route in whole["routes"] if _takes(route, remote)]
    if not routes:
        raise CardFault(("loras",), "no route of the model can load them: none is local")
    inputs = {name: one for name, one in whole["inputs"].items() if name != "loras"}
    return whole | {"inputs": inputs, "routes": routes}


def _takes(route: Raw, remote: bool) -> bool:
    return remote or _is_ours(route)


def _is_ours(route: Raw) -> bool:
    return "pipeline" in route.get("spec", {})


def _with_route_loras(route: Raw, loras: list[Raw]) -> Raw:
    if not _is_ours(route):
        return _more(route, {"fixed": {"loras": loras}})
    return _more(route, {"loras": [*route.get("spec", {}).get("loras", []), *loras]})


def _is_file(path: str) -> bool:
    return path.startswith(("/", ".", "~"))


def _more(route: Raw, spec: dict[str, Any]) -> Raw:
    """Add to a route's spec, deep; what is empty adds nothing."""
    given = {key: value for key, value in spec.items() if value}
    return route | {"spec": laid(route.get("spec", {}), given)}
