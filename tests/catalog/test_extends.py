"""Cards built on another model: a style, a fixed setting, a LoRA, with nothing but a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from media_mcp.catalog import lint
from media_mcp.catalog.cards import models_of
from media_mcp.catalog.endpoints import load_endpoints
from media_mcp.catalog.glossary import Glossary
from media_mcp.catalog.model import Model
from media_mcp.catalog.requests import arguments_of, request_for
from media_mcp.catalog.sources import shipped_folder
from media_mcp.catalog.validate import complete
from media_mcp.errors import BadCard
from media_mcp.job import JSON, Route

BASE: dict[str, Any] = {
    "id": "fal-ai/edit",
    "tool": "edit",
    "title": "Edit",
    "description": "Edits.",
    "task": "image-to-image",
    "licence": "hosted, commercial use",
    "speed": "fast",
    "inputs": {
        "prompt": {"type": "string", "required": True, "max_length": 100},
        "image_url": {"type": "string", "required": True, "media": "image"},
        "image_size": {"type": "string", "form": "size", "enum": ["square"], "maximum": 2048},
        "strength": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.8},
        "text": {"type": "string", "replaced_by": "prompt"},
    },
    "outputs": {"images": {"kind": "image", "mime_type": "image/png"}},
    "examples": [{"title": "One", "arguments": {"prompt": "x", "image_url": "a.png"}}],
    "routes": [
        {
            "backend": "local",
            "spec": {"pipeline": "diffusers", "weights": "acme/edit", "map": {"strength": "power"}},
        },
        {"backend": "fal", "spec": {"endpoint": "fal-ai/edit"}},
    ],
}
HEAD = "id: me/style\ntitle: My style\ndescription: A style.\nextends: fal-ai/edit\n"
LORAS = {"loras": {"type": "array", "items": {"type": "object"}}}


def laid(folder: Path, *texts: str, base: dict[str, Any] | None = None) -> dict[str, Model]:
    for number, text in enumerate(texts):
        (folder / f"{number}.yaml").write_text(text)
    return {model.id: model for model in models_of({"fal-ai/edit": base or BASE}, [folder])}


def style(folder: Path, text: str, base: dict[str, Any] | None = None) -> Model:
    return laid(folder, HEAD + text, base=base)["me/style"]


def fault(folder: Path, text: str) -> BadCard:
    with pytest.raises(BadCard) as caught:
        laid(folder, text)
    return caught.value


def sent(model: Model, arguments: dict[str, JSON]) -> list[dict[str, JSON]]:
    """Return the request of each route, and check that it reads back as what was asked."""
    whole = complete(model, arguments)
    requests = [request_for(model, route, whole) for route in model.routes]
    for route, request in zip(model.routes, requests, strict=True):
        assert arguments_of(model, route, request) == whole
    return requests


def names(model: Model) -> list[str]:
    return [param.name for param in model.inputs]


def test_it_inherits_everything_but_its_names_and_examples(tmp_path: Path) -> None:
    model = style(tmp_path, "licence: mine\n")
    assert (model.id, model.tool, model.title) == ("me/style", "me_style", "My style")
    assert (model.task, model.speed, model.licence) == ("image-to-image", "fast", "mine")
    assert (model.examples, names(model)) == ((), list(BASE["inputs"]))
    assert [route.spec["endpoint"] for route in model.routes[1:]] == ["fal-ai/edit"]


def test_a_fixed_argument_is_sent_and_no_longer_asked_for(tmp_path: Path) -> None:
    model = style(tmp_path, "fixed: {strength: 0.5, image_size: 1280x720}\n")
    assert names(model) == ["prompt", "image_url", "text"]
    local, hosted = sent(model, {"prompt": "x", "image_url": "a"})
    assert (local["power"], local["image_size"]) == (0.5, {"width": 1280, "height": 720})
    assert hosted == {
        "prompt": "x",
        "image_url": "a",
        "strength": 0.5,
        "image_size": {"width": 1280, "height": 720},
    }


def test_words_are_put_around_the_prompt(tmp_path: Path) -> None:
    model = style(tmp_path, 'prompt: "Ghibli style, {prompt}, soft light"\n')
    for request in sent(model, {"prompt": "a boat", "image_url": "a"}):
        assert request["prompt"] == "Ghibli style, a boat, soft light"
    prompt = model.param("prompt")
    assert prompt is not None
    assert prompt.max_length == 100 - len("Ghibli style, , soft light")


def test_a_template_without_a_prompt_takes_the_input_away(tmp_path: Path) -> None:
    model = style(tmp_path, "prompt: Make it a cartoon.\n")
    assert names(model) == ["image_url", "image_size", "strength"]
    for request in sent(model, {"image_url": "a"}):
        assert request["prompt"] == "Make it a cartoon."


def test_a_prompt_that_may_be_left_out_leaves_the_words_of_the_template(tmp_path: Path) -> None:
    text = 'prompt: "cartoon, {prompt}"\ninputs: {prompt: {required: null}}\n'
    for request in sent(style(tmp_path, text), {"image_url": "a"}):
        assert request["prompt"] == "cartoon,"


def test_a_prompt_that_comes_without_the_template_is_taken_as_it_is(tmp_path: Path) -> None:
    model = style(tmp_path, 'prompt: "cartoon, {prompt}"\n')
    assert arguments_of(model, model.routes[0], {"prompt": "a boat"}) == {"prompt": "a boat"}


def test_a_style_can_be_built_on_a_style(tmp_path: Path) -> None:
    inner = HEAD + 'prompt: "{prompt}, oil"\nfixed: {strength: 0.3}\n'
    outer = (
        "id: me/sea\ntitle: Sea\ndescription: Seas.\nextends: me/style\n"
        'prompt: "the sea, {prompt}"\nfixed: {image_size: square}\n'
    )
    model = laid(tmp_path, outer, inner)["me/sea"]
    assert names(model) == ["prompt", "image_url", "text"]
    _, hosted = sent(model, {"prompt": "at night", "image_url": "a"})
    assert hosted["prompt"] == "the sea, at night, oil"
    assert (hosted["strength"], hosted["image_size"]) == (0.3, "square")


def test_a_lora_beside_the_card_goes_to_the_local_route_alone(tmp_path: Path) -> None:
    model = style(tmp_path, "loras: [{path: ./style.safetensors, scale: 0.8}, {path: org/name}]\n")
    (route,) = model.routes
    assert route.backend == "local"
    assert route.spec["loras"] == [
        {"path": f"{tmp_path}/style.safetensors", "scale": 0.8},
        {"path": "org/name", "scale": 1.0},
    ]


def test_a_lora_of_a_hub_is_sent_where_the_model_takes_loras(tmp_path: Path) -> None:
    base = BASE | {"inputs": BASE["inputs"] | LORAS}
    model = style(tmp_path, "loras: [{path: org/name, scale: 0.8}]\n", base)
    assert "loras" not in names(model)
    local, hosted = model.routes
    assert local.spec["loras"] == [{"path": "org/name", "scale": 0.8}]
    request = request_for(model, hosted, {"prompt": "x"})
    assert request["loras"] == [{"path": "org/name", "scale": 0.8}]


def test_a_file_of_ours_is_never_sent_to_a_host(tmp_path: Path) -> None:
    base = BASE | {"inputs": BASE["inputs"] | LORAS}
    model = style(tmp_path, "loras: [{path: ./a.safetensors}]\n", base)
    assert [route.backend for route in model.routes] == ["local"]


def test_routes_of_its_own_fill_up_from_the_model_it_extends(tmp_path: Path) -> None:
    model = style(tmp_path, "routes: [{backend: fal}]\nfixed: {strength: 0.1}\n")
    assert model.routes == (
        Route("fal", {"endpoint": "fal-ai/edit", "fixed": {"strength": 0.1}}, None),
    )


def test_a_card_may_extend_what_stands_in_a_later_folder(tmp_path: Path) -> None:
    ours, users = tmp_path / "ours", tmp_path / "users"
    for folder in (ours, users):
        folder.mkdir()
    (ours / "style.yaml").write_text(HEAD)
    (users / "edit.yaml").write_text("id: fal-ai/edit\nspeed: slow\n")
    (users / "style.yaml").write_text("id: me/style\nfeatured: true\n")
    found = {m.id: m for m in models_of({"fal-ai/edit": BASE}, [ours, users])}
    assert (found["me/style"].speed, found["me/style"].featured) == ("slow", True)


def test_an_extension_of_the_same_id_as_an_endpoint_starts_from_what_it_extends(
    tmp_path: Path,
) -> None:
    other = BASE | {"id": "me/style", "speed": "slow"}
    (tmp_path / "style.yaml").write_text(HEAD)
    models = models_of({"fal-ai/edit": BASE, "me/style": other}, [tmp_path])
    assert {model.id: model.speed for model in models}["me/style"] == "fast"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (HEAD.replace("fal-ai/edit", "fal-ai/edti"), 4, "there is no model called 'fal-ai/edti'"),
        (HEAD.replace("fal-ai/edit", "me/style"), 4, "me/style extends itself"),
        (HEAD.replace("fal-ai/edit", "[a]"), 4, "there is no model called"),
        (HEAD + "fixed: {strenth: 1}\n", 5, "fixed.strenth: the model has no such input"),
        (HEAD + "fixed:\n  strength: 2\n", 6, "fixed.strength: must be at most 1, but 2 was"),
        (HEAD + "fixed: {image_size: 4000x9}\n", 5, "must have sides from 1 to 2048 pixels"),
        (HEAD + "inputs: {strength: {type: x}}\nfixed: {strength: 1}\n", 5, "inputs.strength.type"),
        (HEAD + "fixed: strength\n", 5, "fixed: Input should be a valid dictionary"),
        (HEAD + f"prompt: {'x' * 100} {{prompt}}\n", 5, "it leaves no room: the model takes 100"),
        (HEAD + "inputs: {prompt: null, text: null}\nprompt: x\n", 6, "has no input `prompt`"),
        (HEAD + "loras: [{scale: 1}]\n", 5, "loras.0.path: Field required"),
        (HEAD + "loras: ./a.safetensors\n", 5, "loras: Input should be a valid tuple"),
        (HEAD + "routes: [{backend: fal}]\nloras: [{path: a/b}]\n", 6, "none is local"),
        (HEAD + "inputs: {prompt: x}\nfixed: {strength: 1}\n", 5, "inputs: it is a mapping"),
        (HEAD + "routes: fal\nfixed: {strength: 1}\n", 5, "routes: it is a list of mappings"),
    ],
)
def test_a_wrong_extension_is_refused_with_file_line_and_reason(
    tmp_path: Path, text: str, line: int, words: str
) -> None:
    error = fault(tmp_path, text)
    assert words in error.message
    assert error.message.startswith(f"{tmp_path}/0.yaml:{line}: ")


def test_an_unknown_model_or_input_names_the_nearest(tmp_path: Path) -> None:
    wrong = fault(tmp_path, HEAD.replace("fal-ai/edit", "fal-ai/edti"))
    assert wrong.hint == "Did you mean fal-ai/edit?"
    assert fault(tmp_path, HEAD + "fixed: {strenth: 1}\n").hint.startswith("Did you mean strength")


def test_cards_cannot_extend_each_other_in_a_circle(tmp_path: Path) -> None:
    other = HEAD.replace("me/style", "me/other").replace("fal-ai/edit", "me/style")
    with pytest.raises(BadCard, match="extends itself"):
        laid(tmp_path, HEAD.replace("fal-ai/edit", "me/other"), other)


def test_a_card_above_can_take_away_what_an_extension_fixed(tmp_path: Path) -> None:
    ours, users = tmp_path / "ours", tmp_path / "users"
    for folder in (ours, users):
        folder.mkdir()
    (ours / "style.yaml").write_text(HEAD + "fixed: {strength: 0.5}\nprompt: x\n")
    (users / "style.yaml").write_text("id: me/style\nfixed: {strength: null}\nprompt: null\n")
    found = {m.id: m for m in models_of({"fal-ai/edit": BASE}, [ours, users])}["me/style"]
    assert names(found) == list(BASE["inputs"])
    assert [route.spec for route in found.routes] == [route["spec"] for route in BASE["routes"]]


def test_the_examples_of_the_guide_extend_the_catalog_that_ships() -> None:
    ours = shipped_folder()
    examples = Path(__file__).resolve().parents[2] / "docs" / "examples" / "cards"
    endpoints = load_endpoints([ours], Glossary.load(ours / "words"))
    found = {model.id: model for model in models_of(endpoints, [ours, examples])}
    lora, shot = found["me/ink-style"], found["me/product-shot"]
    assert [lora.source, shot.source] == [
        str(examples / "my-lora.yaml"),
        str(examples / "product-shot.yaml"),
    ]
    assert lora.routes[0].spec["loras"] == [
        {"path": str(examples / "ink-style.safetensors"), "scale": 0.8}
    ]
    assert shot.param("prompt") is None
    assert [list(lint.errors(model, found)) for model in (lora, shot)] == [[], []]
