"""What `catalog check` says of a card that loads but is not good."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from media_mcp.catalog import lint
from media_mcp.catalog.lint import Covered, coverage
from media_mcp.catalog.model import Example, Model, OutputSpec, Param
from media_mcp.job import MediaKind, Price, PriceCase, Route

PROMPT = Param("prompt", "string", "What to draw.", required=True)
STEPS = Param("steps", "integer", "How many.", maximum=50, default=12)
ROUTE = Route("fal", {"endpoint": "m"}, Price(0.1, "image"))
MADE = (OutputSpec("images", MediaKind.IMAGE, "image/png"),)
GOOD = Model(
    "acme/m",
    "acme_m",
    "M",
    "Draws.",
    "text-to-image",
    "hosted, commercial use",
    (PROMPT, STEPS),
    MADE,
    (ROUTE,),
    source="catalog/m.yaml",
)


def errors(model: Model) -> list[str]:
    return [str(fault) for fault in lint.errors(model, {"acme/m", "acme/other"})]


def warnings(model: Model) -> list[str]:
    return [str(fault) for fault in lint.warnings(model)]


def local(**more: object) -> Route:
    return replace(Route("local", {"pipeline": "diffusers"}, Price(0, "call")), **more)


def test_a_good_card_has_no_faults() -> None:
    whole = replace(
        GOOD,
        alternatives=("acme/other",),
        successor="acme/other",
        examples=(Example("One", {"prompt": "x"}),),
        routes=(ROUTE, local(licence="MIT", spec={"map": {"steps": None}})),
    )
    assert (errors(whole), warnings(whole)) == ([], [])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"examples": (Example("Two", {"prompt": 5}),)},
            "examples.0: acme/m, example 'Two': prompt: must be of type string",
        ),
        ({"examples": (Example("Two", {}),)}, "example 'Two': prompt: is required"),
        ({"inputs": (replace(STEPS, default=99),)}, "inputs.steps.default: must be at most 50"),
        ({"inputs": (Param("a b", "string"),)}, "the name 'a b' must match"),
        (
            {
                "inputs": (
                    Param(
                        "a", "array", items=Param("", "object", properties=(Param("é", "string"),))
                    ),
                )
            },
            "inputs.a.items: the name 'é' must match",
        ),
        ({"alternatives": ("acme/othr",)}, "alternatives: there is no model called 'acme/othr'"),
        ({"successor": "acme/othr"}, "successor: there is no model called 'acme/othr'"),
        ({"routes": (Route("fal", {"map": {"step": "n"}}),)}, "map.step: the model has no input"),
        ({"routes": (Route("fal", {"map": {"steps": 4}}),)}, "routes.0.spec.map.steps"),
        ({"routes": (Route("fal", {}, Price(1, "furlong")),)}, "'furlong' is no unit of a price"),
        (
            {"routes": (Route("fal", {}, Price(1, "call", cases=(PriceCase({"mood": 1}, 2),))),)},
            "price.cases.0.when.mood: 'mood' is neither an input nor one of seconds,",
        ),
    ],
)
def test_what_would_fail_in_use_is_an_error(change: dict[str, object], words: str) -> None:
    assert any(words in fault for fault in errors(replace(GOOD, **change)))


def test_a_schema_that_clients_stumble_over_is_an_error() -> None:
    wrong = {
        "a": {"anyOf": [{"type": "string"}]},
        "b": {"type": ["string", "null"]},
        "c": {"type": "array", "items": {}},
        "d": {"type": "array", "items": {"type": "object", "properties": {"e": {"$ref": "#"}}}},
    }
    faults = [str(f) for f in lint.schema_faults({"type": "object", "properties": wrong})]
    assert faults == [
        "inputs.a: its schema uses anyOf",
        "inputs.a: its schema does not have one type",
        "inputs.b: its schema does not have one type",
        "inputs.c.items: its schema does not have one type",
        "inputs.d.items.properties.e: its schema uses $ref",
        "inputs.d.items.properties.e: its schema does not have one type",
    ]


def test_what_a_card_has_fixed_may_be_mapped_and_priced() -> None:
    case = PriceCase({"resolution": "720p", "seconds": {"max": 5}}, 2)
    spec = {"map": {"resolution": "res"}, "fixed": {"resolution": "720p"}}
    assert (
        errors(replace(GOOD, routes=(Route("fal", spec, Price(1, "call", cases=(case,))),))) == []
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"description": "word " * 46}, "description: it has 46 words; up to 45 are read"),
        ({"description": "A stunning model."}, "'stunning' is praise"),
        ({"inputs": (Param("a", "string"),)}, "inputs.a.description: it is empty"),
        (
            {
                "inputs": (
                    Param(
                        "a",
                        "array",
                        "A.",
                        items=Param("", "object", properties=(Param("b", "string"),)),
                    ),
                )
            },
            "inputs.a.items.properties.b.description: it is empty",
        ),
        ({"routes": (Route("program"),)}, "routes.0: the route program says no price"),
        ({"routes": (local(),)}, "routes.0: the licence of the weights is not said"),
        (
            {"routes": (local(licence="MIT", spec={"loras": [{"path": "/no/such/file"}]}),)},
            "loras: there is no file /no/such/file",
        ),
    ],
)
def test_what_a_better_card_would_say_is_a_warning(change: dict[str, object], words: str) -> None:
    assert any(words in fault for fault in warnings(replace(GOOD, **change)))
    assert errors(replace(GOOD, **change)) == []


def test_a_lora_that_is_there_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    spec = {"loras": [{"path": str(tmp_path / "a")}, {"path": "org/name"}]}
    assert warnings(replace(GOOD, routes=(local(licence="MIT", spec=spec),))) == []


def test_two_models_cannot_share_a_tool_name() -> None:
    other = replace(GOOD, id="acme/other")
    ((model, fault),) = lint.clashes([GOOD, other, replace(GOOD, id="c", tool="c")])
    assert (model, str(fault)) == (other, "tool: acme/other and acme/m share the tool name acme_m")
    assert "tool:" in fault.hint


def test_coverage_counts_what_is_known_by_task() -> None:
    bare = replace(
        GOOD,
        id="b",
        licence="hosted, licence unknown",
        routes=(Route("fal"),),
        source="catalog/fal.jsonl:1",
        uncertain="Old facts.",
    )
    unpriced = replace(GOOD, routes=(Route("fal", {}, Price(0, "call", "unknown")), local()))
    speech = replace(GOOD, task="text-to-speech", routes=(local(),))
    assert coverage([speech, GOOD, bare, unpriced]) == [
        Covered("text-to-image", 3, priced=1, licensed=2, local=1, curated=2, uncertain=1),
        Covered("text-to-speech", 1, priced=1, licensed=1, local=1, curated=1, uncertain=0),
    ]
