"""`media-mcp models` and `describe`: what the catalog holds."""

from __future__ import annotations

import json
import shlex

from media_mcp.catalog.catalog import Catalog
from media_mcp.catalog.describe import model_facts, price_of, price_words
from media_mcp.catalog.model import Model, Param
from media_mcp.catalog.schema import input_schema
from media_mcp.cli.text import facts, say, say_json, table
from media_mcp.errors import NotFound, did_you_mean
from media_mcp.job import JSON, Route
from media_mcp.settings import Settings


def list_models(settings: Settings, query: str, task: str, limit: int, as_json: bool) -> None:
    """Print the models that fit. Raises `NotFound` for a task that no model does."""
    catalog = Catalog.load(settings.catalog_dirs)
    if task and task not in catalog.tasks():
        known = catalog.tasks()
        hint = did_you_mean(task, known) or f"Tasks: {', '.join(known)}."
        raise NotFound(f"No model does the task {task!r}.", hint)
    found = [one.model for one in catalog.find(query, task=task, limit=limit)]
    if as_json:
        return say_json([_row(model) for model in found])
    if not found:
        return say(f"No model fits. Tasks there are: {', '.join(catalog.tasks())}.")
    table(
        ("MODEL", "TASK", "PRICE", "BACKENDS", "ABOUT"),
        [(m.id, m.task, price_of(m), _backends(m), _about(m)) for m in found],
    )


def describe_model(settings: Settings, name: str, as_json: bool) -> None:
    """Print all about one model. Raises `NotFound` with the nearest names."""
    model = Catalog.load(settings.catalog_dirs).get(name)
    if as_json:
        return say_json(_all_about(model))
    say(f"{model.id}: {model.title}")
    say(model.description)
    say()
    facts(
        [
            ("task", model.task),
            ("tool", model.tool),
            ("licence", model.licence),
            ("provider", model.provider),
            ("card", model.source),
        ]
    )
    say()
    table(("ARGUMENT", "TYPE", "DEFAULT", "WHAT"), [_argument(param) for param in model.inputs])
    say()
    table(("OUTPUT", "KIND", "TYPE"), [(o.role, o.kind, o.mime_type) for o in model.outputs])
    say()
    table(("ROUTE", "PRICE"), [(route.backend, price_words(route.price)) for route in model.routes])
    for example in model.examples:
        say(f"\n{example.title}:\n  {example_command(model, example.arguments)}")


def example_command(model: Model, arguments: JSON) -> str:
    """Return the shell command that makes a call."""
    pairs = [f"{name}={shlex.quote(_shell_text(value))}" for name, value in arguments.items()]
    return " ".join(["media-mcp run", model.id, *pairs])


def _shell_text(value: JSON) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _row(model: Model) -> dict[str, JSON]:
    return model_facts(model) | {"routes": [_route(route) for route in model.routes]}


def _all_about(model: Model) -> dict[str, JSON]:
    outputs = [{"role": o.role, "kind": o.kind, "mime_type": o.mime_type} for o in model.outputs]
    examples = [{"title": e.title, "arguments": dict(e.arguments)} for e in model.examples]
    about = {"provider": model.provider, "card": model.source, "arguments": input_schema(model)}
    return _row(model) | about | {"outputs": outputs, "examples": examples}


def _route(route: Route) -> dict[str, JSON]:
    price = route.price
    if price is None:
        return {"backend": route.backend, "price": None}
    known = {"amount_usd": price.amount, "unit": price.unit, "certainty": price.certainty}
    return {"backend": route.backend, "price": known | ({"as_of": price.as_of or None})}


def _backends(model: Model) -> str:
    return ",".join(route.backend for route in model.routes)


def _about(model: Model) -> str:
    return model.description.split(". ")[0].rstrip(".")


def _argument(param: Param) -> tuple[str, str, str, str]:
    kind = f"{param.items} array" if param.type == "array" else param.type
    shown = "required" if param.required else _default(param)
    return param.name, param.media or kind, shown, f"{param.description}{_bounds(param)}"


def _default(param: Param) -> str:
    return "" if param.default is None else _shell_text(param.default)


def _bounds(param: Param) -> str:
    if param.enum:
        return f" [{', '.join(map(_shell_text, param.enum))}]"
    low, high = _number(param.minimum), _number(param.maximum)
    return f" [{low} to {high}]" if low or high else ""


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}" if abs(value) < 1e6 else f"{value:.0f}"
