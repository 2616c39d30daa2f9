"""`media-mcp models` and `describe`: what the catalog holds."""

from __future__ import annotations

import json
import shlex

from media_mcp.catalog.catalog import Catalog
from media_mcp.catalog.describe import (
    SPEEDS,
    cost_words,
    model_facts,
    price_words,
    route_facts,
)
from media_mcp.catalog.head import Head, Wish
from media_mcp.catalog.model import Model, Param
from media_mcp.catalog.pricing import typical
from media_mcp.catalog.schema import input_schema
from media_mcp.cli.text import facts, say, say_json, table
from media_mcp.errors import NotFound, did_you_mean
from media_mcp.job import JSON, Route
from media_mcp.settings import Settings


def list_models(settings: Settings, wish: Wish, runs_here: bool, as_json: bool) -> None:
    """Print the models that fit. Raises `NotFound` for a task that no model does."""
    catalog = Catalog.load(settings.catalog_dirs, settings.doubted_dirs)
    if wish.task and wish.task not in catalog.tasks():
        known = catalog.tasks()
        hint = did_you_mean(wish.task, known) or f"Tasks: {', '.join(known)}."
        raise NotFound(f"No model does the task {wish.task!r}.", hint)
    heads = _heads(settings, catalog, wish, runs_here)
    if as_json:
        return say_json([_row(catalog.get(head.id)) for head in heads])
    if not heads:
        return say(f"No model fits. Tasks there are: {', '.join(catalog.tasks())}.")
    table(
        ("MODEL", "TASK", "PRICE", "BACKENDS", "ABOUT"),
        [(h.id, h.task, h.price, ",".join(h.backends), h.about) for h in heads],
    )


def _heads(settings: Settings, catalog: Catalog, wish: Wish, runs_here: bool) -> list[Head]:
    if not runs_here:
        return [found.head for found in catalog.find(wish)]
    from media_mcp.cli.here import that_run_here

    return that_run_here(settings, catalog, wish)


def describe_model(settings: Settings, name: str, as_json: bool) -> None:
    """Print all about one model. Raises `NotFound` with the nearest names."""
    model = Catalog.load(settings.catalog_dirs, settings.doubted_dirs).get(name)
    if as_json:
        return say_json(_all_about(model))
    say(f"{model.id}: {model.title}")
    say(model.description)
    say()
    facts(_facts(model))
    say()
    table(("ARGUMENT", "TYPE", "DEFAULT", "WHAT"), [_argument(param) for param in model.inputs])
    say()
    table(("OUTPUT", "KIND", "TYPE"), [(o.role, o.kind, o.mime_type) for o in model.outputs])
    say()
    columns = ("ROUTE", "PRICE", "TYPICAL CALL", "LICENCE")
    table(columns, [_route_cells(model, route) for route in model.routes])
    for example in model.examples:
        say(f"\n{example.title}:\n  {example_command(model, example.arguments)}")


def _facts(model: Model) -> list[tuple[str, str]]:
    return [
        ("task", model.task),
        ("tool", model.tool),
        ("licence", model.licence),
        ("provider", model.provider),
        ("family", model.family),
        ("speed", SPEEDS.get(model.speed, "")),
        ("good at", ", ".join(model.good_at)),
        ("bad at", ", ".join(model.bad_at)),
        ("policy", model.policy),
        ("uncertain", model.uncertain),
        ("retired", "may be gone where it ran" if model.retired else ""),
        ("successor", model.successor),
        ("alternatives", ", ".join(model.alternatives)),
        ("as of", model.as_of),
        ("card", model.source),
    ]


def _route_cells(model: Model, route: Route) -> tuple[str, str, str, str]:
    cost = typical(model, route)
    return route.backend, price_words(route.price), cost_words(cost.low, cost.high), route.licence


def example_command(model: Model, arguments: JSON) -> str:
    """Return the shell command that makes a call."""
    pairs = [f"{name}={shlex.quote(_shell_text(value))}" for name, value in arguments.items()]
    return " ".join(["media-mcp run", model.id, *pairs])


def _shell_text(value: JSON) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _row(model: Model) -> dict[str, JSON]:
    return model_facts(model) | {"routes": [route_facts(route) for route in model.routes]}


def _all_about(model: Model) -> dict[str, JSON]:
    outputs = [{"role": o.role, "kind": o.kind, "mime_type": o.mime_type} for o in model.outputs]
    examples = [{"title": e.title, "arguments": dict(e.arguments)} for e in model.examples]
    about: dict[str, JSON] = {
        "provider": model.provider,
        "card": model.source,
        "alternatives": list(model.alternatives),
        "arguments": input_schema(model),
    }
    return _row(model) | about | {"outputs": outputs, "examples": examples}


def _argument(param: Param) -> tuple[str, str, str, str]:
    kind = param.media or (param.items or param).type
    whole = f"{kind} array" if param.items else kind
    shown = "required" if param.required else _default(param)
    return param.name, whole, shown, f"{param.description}{_bounds(param)}"


def _default(param: Param) -> str:
    return "" if param.default is None else _shell_text(param.default)


def _bounds(param: Param) -> str:
    if param.enum:
        return f" [{', '.join(map(_shell_text, param.enum))}]"
    low, high = _number(param.minimum), _number(param.maximum)
    return f" [{low} to {high}]" if low or high else ""


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}" if abs(value) < 1e6 else f"{value:.0f}"
