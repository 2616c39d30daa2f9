"""Cards: what they may say, how they lie over each other, and what is said of a wrong one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from media_mcp.catalog.cards import load_card, model_of, models_of
from media_mcp.catalog.model import Model, ValueSpec
from media_mcp.errors import BadCard
from media_mcp.job import MediaKind, Price, PriceCase

GOOD = """\
id: acme/painter
title: Painter
description: Paints.
task: text-to-image
licence: MIT
inputs:
  prompt: {type: string, required: true, description: What to paint.}
outputs:
  images: {kind: image, mime_type: image/png}
routes:
  - backend: rehearsal
    price: {amount: 0.04, unit: image}
"""
ENDPOINT: dict[str, Any] = {
    "id": "fal-ai/brush",
    "title": "Brush",
    "description": "Generated words.",
    "task": "text-to-image",
    "licence": "hosted, commercial use",
    "source": "catalog/fal.jsonl:7",
    "inputs": {
        "prompt": {"type": "string", "required": True, "description": "What to paint."},
        "num_images": {"type": "integer", "default": 1, "minimum": 1, "maximum": 4},
        "sync_mode": {"type": "boolean", "default": False},
    },
    "outputs": {"images": {"kind": "image", "mime_type": "image/png", "shape": "files"}},
    "values": {"seed": "integer", "timings": "any"},
    "routes": [
        {
            "backend": "fal",
            "spec": {"endpoint": "fal-ai/brush"},
            "price": {"amount": 0.02, "unit": "image"},
        }
    ],
}


def card(folder: Path, text: str, name: str = "card.yaml") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text)
    return path


def fault(folder: Path, text: str) -> BadCard:
    with pytest.raises(BadCard) as caught:
        load_card(card(folder, text))
    return caught.value


def over(folder: Path, text: str, *more: Path) -> dict[str, Model]:
    """Lay a card over the endpoint and return all models by id."""
    card(folder, text)
    return {m.id: m for m in models_of({"fal-ai/brush": ENDPOINT}, [folder, *more])}


def test_a_card_becomes_a_model_with_everything_it_says(tmp_path: Path) -> None:
    (model,) = load_card(card(tmp_path, GOOD))
    assert (model.id, model.tool, model.task) == ("acme/painter", "acme_painter", "text-to-image")
    assert model.inputs[0].required
    assert model.outputs[0].kind is MediaKind.IMAGE
    assert model.routes[0].price is not None
    assert model.routes[0].price.amount == 0.04
    assert model.source.endswith("card.yaml")


def test_a_card_may_say_much_of_what_a_model_is_like(tmp_path: Path) -> None:
    text = GOOD + (
        "family: brushes\n"
        "good_at: [skies, seas]\n"
        "bad_at: [text]\n"
        "speed: fast\n"
        "policy: Refuses faces.\n"
        "uncertain: Its price may be old.\n"
        "retired: true\n"
        "successor: acme/new\n"
        "alternatives: [local/one, local/two]\n"
        "values: {seed: integer, timings: any}\n"
        "as_of: 2026-07-26\n"
    )
    (model,) = load_card(card(tmp_path, text))
    assert (model.family, model.good_at, model.bad_at) == ("brushes", ("skies", "seas"), ("text",))
    assert (model.speed, model.policy, model.retired) == ("fast", "Refuses faces.", True)
    assert (model.successor, model.alternatives) == ("acme/new", ("local/one", "local/two"))
    assert model.values == (ValueSpec("seed", "integer"), ValueSpec("timings", "any"))
    assert (model.as_of, model.uncertain) == ("2026-07-26", "Its price may be old.")


def test_a_price_may_have_a_first_unit_cases_and_a_note(tmp_path: Path) -> None:
    price = (
        "price: {amount: 0.05, unit: second, first: 0.1, note: audio is extra, as_of: 2026-07,\n"
        "      certainty: estimated, cases: [{when: {resolution: [720p, 1080p]}, amount: 0.2}]}"
    )
    text = GOOD.replace("price: {amount: 0.04, unit: image}", price)
    (model,) = load_card(card(tmp_path, text))
    case = PriceCase({"resolution": ["720p", "1080p"]}, 0.2)
    assert model.routes[0].price == Price(
        0.05, "second", "estimated", "2026-07", 0.1, (case,), "audio is extra"
    )


def test_an_unknown_price_needs_no_amount(tmp_path: Path) -> None:
    text = GOOD.replace("{amount: 0.04, unit: image}", "{certainty: unknown, note: ask them}")
    (model,) = load_card(card(tmp_path, text))
    assert model.routes[0].price == Price(0, "call", "unknown", note="ask them")


def test_inputs_nest_as_deep_as_they_are(tmp_path: Path) -> None:
    nested = (
        "  elements:\n"
        "    type: array\n"
        "    max_items: 4\n"
        "    items:\n"
        "      type: object\n"
        "      properties:\n"
        "        image_url: {type: string, media: image, limits: {min_width: 300}}\n"
        "        tags: {type: array, items: string}\n"
        "outputs:"
    )
    (model,) = load_card(card(tmp_path, GOOD.replace("outputs:", nested)))
    elements = model.param("elements")
    assert elements is not None
    assert elements.items is not None
    assert elements.items.name == ""
    image, tags = elements.items.properties
    assert (image.name, image.media, image.limits) == ("image_url", "image", {"min_width": 300})
    assert tags.items is not None
    assert tags.items.type == "string"


def test_an_input_that_is_replaced_is_deprecated(tmp_path: Path) -> None:
    old = "  text: {type: string, replaced_by: prompt}\noutputs:"
    (model,) = load_card(card(tmp_path, GOOD.replace("outputs:", old)))
    assert [(p.name, p.deprecated) for p in model.inputs] == [("prompt", False), ("text", True)]


def test_a_bound_of_many_digits_keeps_them_all(tmp_path: Path) -> None:
    seed = "  seed: {type: integer, maximum: 9223372036854775807}\noutputs:"
    (model,) = load_card(card(tmp_path, GOOD.replace("outputs:", seed)))
    assert model.inputs[1].maximum == 2**63 - 1
    assert isinstance(model.inputs[1].maximum, int)


def test_variants_inherit_from_the_family_and_may_take_an_input_away(tmp_path: Path) -> None:
    text = GOOD.replace("id: acme/painter\n", "") + (
        "variants:\n"
        "  - id: acme/fast\n"
        "    title: Fast painter\n"
        "  - id: acme/mute\n"
        "    inputs: {prompt: null, seed: {type: integer, description: The seed.}}\n"
    )
    fast, mute = load_card(card(tmp_path, text))
    assert (fast.title, [p.name for p in fast.inputs]) == ("Fast painter", ["prompt"])
    assert (mute.title, [p.name for p in mute.inputs]) == ("Painter", ["seed"])


def test_a_card_inherits_from_the_endpoint_of_its_id(tmp_path: Path) -> None:
    model = over(
        tmp_path,
        "id: fal-ai/brush\ntitle: The brush\ninputs: {sync_mode: null, num_images: {maximum: 8}}\n",
    )["fal-ai/brush"]
    assert (model.title, model.description) == ("The brush", "Generated words.")
    prompt, num_images = model.inputs
    assert (prompt.description, num_images.minimum, num_images.maximum) == ("What to paint.", 1, 8)
    assert model.routes[0].spec == {"endpoint": "fal-ai/brush"}
    assert model.source.endswith("card.yaml")


def test_a_family_may_take_away_what_its_endpoints_say(tmp_path: Path) -> None:
    text = "inputs: {sync_mode: null}\nvariants:\n  - id: fal-ai/brush\n    speed: fast\n"
    model = over(tmp_path, text)["fal-ai/brush"]
    assert [p.name for p in model.inputs] == ["prompt", "num_images"]
    assert model.speed == "fast"


def test_an_endpoint_without_a_card_is_a_model_as_it_is() -> None:
    (model,) = models_of({"fal-ai/brush": ENDPOINT}, [])
    assert (model.tool, model.source) == ("brush", "catalog/fal.jsonl:7")


def test_routes_of_a_card_replace_those_of_the_endpoint_and_fill_up_from_them(
    tmp_path: Path,
) -> None:
    text = (
        "id: fal-ai/brush\n"
        "routes:\n"
        "  - {backend: local, licence: MIT, spec: {weights: a/b}}\n"
        "  - {backend: fal, spec: {map: {prompt: text}}}\n"
    )
    local, fal = over(tmp_path, text)["fal-ai/brush"].routes
    assert (local.licence, local.spec, local.price) == ("MIT", {"weights": "a/b"}, None)
    assert fal.spec == {"endpoint": "fal-ai/brush", "map": {"prompt": "text"}}
    assert fal.price == Price(0.02, "image")


def test_a_route_of_fal_without_an_endpoint_below_it_has_the_models_id(tmp_path: Path) -> None:
    (model,) = load_card(card(tmp_path, GOOD.replace("backend: rehearsal", "backend: fal")))
    assert model.routes[0].spec == {"endpoint": "acme/painter"}


def test_a_users_card_lies_over_ours_and_changes_only_what_it_says(tmp_path: Path) -> None:
    users = tmp_path / "users"
    card(users, "id: fal-ai/brush\nfeatured: true\n")
    ours = "id: fal-ai/brush\ntitle: Ours\n"
    model = over(tmp_path / "ours", ours, users)["fal-ai/brush"]
    assert (model.title, model.featured) == ("Ours", True)
    assert Path(model.source).parent == users


def test_a_folder_that_is_not_there_holds_no_models(tmp_path: Path) -> None:
    assert models_of({}, [tmp_path / "nowhere"]) == []


def test_cards_are_read_by_file_name_with_either_ending(tmp_path: Path) -> None:
    (tmp_path / "b.yml").write_text(GOOD.replace("acme/painter", "b"))
    (tmp_path / "a.yaml").write_text(GOOD.replace("acme/painter", "a"))
    assert [model.id for model in models_of({}, [tmp_path])] == ["a", "b"]


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("task: text-to-image", "task: Text To Image", 4, "task: String should match"),
        ("type: string", "type: text", 7, "inputs.prompt.type"),
        ("description: Paints.", "description: " + "word " * 61, 3, "61 words; the bound is 50"),
        ("licence: MIT", "license: MIT", 1, "licence: Field required"),
        ("amount: 0.04", "amount: -1", 12, "routes.0.price.amount"),
        ("amount: 0.04, ", "", 12, "it needs `amount` and `unit`, or `certainty: unknown`"),
        ("unit: image", "unit: image, as_of: July", 12, "routes.0.price.as_of"),
        ("unit: image", "unit: image, cases: [{when: {}, amount: 1}]", 12, "cases.0.when"),
        ("required: true", "required: true, default: x", 7, "cannot have a default"),
        ("type: string", "type: array", 7, "an array needs it"),
        ("type: string", "type: array, items: text", 7, "inputs.prompt.items.type"),
        ("type: string", "type: string, properties: {a: {type: string}}", 7, "to an object"),
        ("type: string", "type: integer, form: size", 7, "the form size belongs to a string"),
        ("type: string", "type: integer, media: image", 7, "a string or an array of strings"),
        ("required: true", "enum: [a], default: b", 7, "'b' is not in the enum"),
        ("required: true", "replaced_by: text", 7, "prompt.replaced_by: 'text' is no input"),
        ("licence: MIT", "licence: MIT\ntool: No-Good", 6, "'No-Good' must match"),
        ("licence: MIT", "licence: MIT\nspeed: quick", 6, "speed: Input should be"),
        ("licence: MIT", "licence: MIT\nfixed: {prompt: x}", 6, "fixed: it needs `extends`"),
        ("licence: MIT", "licence: MIT\nsource: x", 6, "source: a card has no such key"),
        ("id: acme/painter", "id: 12", 1, "id: Field required"),
        ("routes:", "routes: fal\nmore:", 10, "routes: Input should be a valid tuple"),
    ],
)
def test_a_wrong_card_is_refused_with_file_line_and_reason(
    tmp_path: Path, old: str, new: str, line: int, words: str
) -> None:
    error = fault(tmp_path, GOOD.replace(old, new))
    assert words in error.message
    assert error.message.startswith(f"{tmp_path}/card.yaml:{line}: ")
    assert "CONTRIBUTING.md" in error.hint


def test_a_fault_in_a_variant_is_found_in_the_variant(tmp_path: Path) -> None:
    text = GOOD.replace("id: acme/painter\n", "") + "variants:\n  - id: a\n  - id: B B\n"
    assert f"card.yaml:{text.count(chr(10))}: id: " in fault(tmp_path, text).message


def test_a_fault_in_what_a_family_shares_is_found_there(tmp_path: Path) -> None:
    text = GOOD.replace("id: acme/painter\n", "").replace("type: string", "type: text")
    assert (
        "card.yaml:6: inputs.prompt.type" in fault(tmp_path, text + "variants: [{id: a}]").message
    )


def test_a_fault_of_a_card_that_lies_below_is_found_there(tmp_path: Path) -> None:
    card(tmp_path / "ours", GOOD.replace("type: string", "type: text"))
    card(tmp_path / "users", "id: acme/painter\nfeatured: true\n")
    with pytest.raises(BadCard, match=r"ours/card.yaml:7: inputs\.prompt\.type"):
        models_of({}, [tmp_path / "ours", tmp_path / "users"])


def test_a_fault_of_an_endpoint_is_found_in_its_line() -> None:
    wrong = ENDPOINT | {"task": "No Task"}
    with pytest.raises(BadCard, match=r"^catalog/fal.jsonl:7: task: String should match"):
        models_of({"fal-ai/brush": wrong}, [])


def test_one_mapping_can_be_made_a_model_by_itself() -> None:
    assert model_of(ENDPOINT, "here").source == "here"
    with pytest.raises(BadCard, match=r"^here: title: Field required"):
        model_of({key: ENDPOINT[key] for key in ENDPOINT if key != "title"}, "here")


def test_one_id_can_be_declared_once_in_a_folder(tmp_path: Path) -> None:
    card(tmp_path, GOOD)
    card(tmp_path, f"# another\n{GOOD}", "other.yaml")
    with pytest.raises(BadCard, match=r"other.yaml:2: id: acme/painter is declared twice, also in"):
        models_of({}, [tmp_path])


def test_every_variant_needs_an_id(tmp_path: Path) -> None:
    text = GOOD.replace("id: acme/painter\n", "") + "variants:\n  - title: Nameless\n"
    assert f"card.yaml:{text.count(chr(10))}: id: Field required" in fault(tmp_path, text).message


def test_an_example_may_only_use_arguments_that_there_are(tmp_path: Path) -> None:
    text = GOOD + "examples:\n  - {title: One, arguments: {colour: red}}\n"
    assert "the example 'One' uses unknown ['colour']" in fault(tmp_path, text).message


def test_broken_yaml_is_refused_with_its_line(tmp_path: Path) -> None:
    assert "card.yaml:2: " in fault(tmp_path, "id: [a\ntitle: b: c\n").message


@pytest.mark.parametrize("text", ["id: a\x01b\n", "as_of: 2026-99-99\n", "id: " + "[" * 50_000])
def test_what_is_no_yaml_at_all_is_refused(tmp_path: Path, text: str) -> None:
    assert "card.yaml:1: " in fault(tmp_path, text).message


@pytest.mark.parametrize("text", ["", "- a list\n", "just words\n"])
def test_a_card_must_be_a_mapping(tmp_path: Path, text: str) -> None:
    assert "a card is a mapping" in fault(tmp_path, text).message


def test_variants_must_be_a_list_of_mappings(tmp_path: Path) -> None:
    assert "`variants` is a list" in fault(tmp_path, GOOD + "variants: all\n").message


def test_a_card_that_cannot_be_decoded_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "card.yaml"
    path.write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(BadCard, match="cannot be read"):
        load_card(path)


def test_a_card_cannot_make_python_objects(tmp_path: Path) -> None:
    assert "card.yaml:1" in fault(tmp_path, "id: !!python/object/apply:os.system ['id']\n").message
