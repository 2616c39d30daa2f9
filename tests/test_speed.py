"""Speed settings: what may be said, how it adds up, and which of it changes what comes out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from media_mcp import speed
from media_mcp.backends.local.speeds import quickened
from media_mcp.catalog.catalog import Catalog
from media_mcp.errors import BadCard, BadSettings
from media_mcp.settings import load_settings, speed_of
from media_mcp.speed import Choice

LORA = {"path": "acme/lightning", "scale": 0.9, "set": {"num_inference_steps": 4}}


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write media-mcp.toml into the working folder."""
    monkeypatch.chdir(tmp_path)
    return (tmp_path / "media-mcp.toml").write_text


def test_exact_is_the_default_and_changes_nothing_on_a_cpu() -> None:
    assert str(load_settings().speed) == "exact"
    assert speed.bundled("exact", "cpu") == {}


def test_exact_brings_nothing_that_changes_what_comes_out_on_any_device() -> None:
    for device in ("cpu", "cuda", "mps"):
        assert list(speed.lossy_names(speed.bundled("exact", device))) == []


def test_no_card_that_ships_asks_for_what_changes_what_comes_out() -> None:
    catalog = Catalog.load([])
    specs = [route.spec for head in catalog.heads for route in catalog.get(head.id).routes]
    assert not any(speed.choice(spec.get("speed", {})).lossy for spec in specs)


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ('speed = "fast"', "fast"),
        ('[speed]\nbundle = "turbo"\ncompile = false', "turbo+compile=false"),
        ('[speed]\ncache = "first_block 0.10"', "cache=first_block 0.1"),
        ("[speed]\ncache = false", "cache=none"),
    ],
)
def test_a_file_names_a_bundle_or_keys(written: Any, text: str, means: str) -> None:
    written(text)
    assert str(load_settings().speed) == means


def test_the_environment_says_it_in_a_word_or_as_json(
    written: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDIA_MCP_SPEED", "fast")
    assert load_settings().speed == Choice("fast")
    monkeypatch.setenv("MEDIA_MCP_SPEED", '{"vae_tiling": true}')
    assert load_settings().speed == Choice("", {"vae_tiling": True})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('speed = "fsat"', "Setting speed: 'fsat' is no bundle of speed settings. Did you mean f"),
        ("speed = 3", "Setting speed: '3' is no bundle (exact, fast, turbo) and no table"),
        ('[speed]\ncahce = "mag"', "there is no key 'cahce'. Did you mean cache?"),
        ('[speed]\ncache = "magg"', "cache cannot be 'magg'. Did you mean mag?"),
        ('[speed]\ncache = "mag 9"', "cache: mag takes a number from 0.001 to 1, not '9'"),
        ('[speed]\ncache = "text_kv 1"', "cache: text_kv takes no number, not '1'"),
        ('[speed]\ncompile = "yes"', "compile is true or false, not 'yes'"),
        ('[projects.a]\nspeed = "slow"', "Setting projects.a.speed: 'slow' is no bundle"),
    ],
)
def test_a_wrong_word_is_told_with_the_right_ones(written: Any, text: str, words: str) -> None:
    written(text)
    with pytest.raises(BadSettings) as caught:
        load_settings()
    assert words in caught.value.message


def test_a_projects_own_settings_count_over_the_others_key_by_key(written: Any) -> None:
    written(
        '[speed]\nbundle = "fast"\ncompile = false\nattention = "math"\n'
        "[projects.films.speed]\ncompile = true\n"
    )
    settings = load_settings()
    assert str(speed_of(settings, "films")) == "fast+compile=true+attention=math"
    assert speed_of(settings, "other") == settings.speed


@pytest.mark.parametrize("text", ["fast", "cache=first_block 0.1", "turbo+compile=false", "exact"])
def test_what_is_typed_reads_back_as_itself(text: str) -> None:
    assert str(speed.parsed(text)) == text


@pytest.mark.parametrize("text", ["slow", "cache", "cache=x", "few=1", "compile=1"])
def test_what_is_mistyped_is_told(text: str) -> None:
    with pytest.raises(BadSettings, match=r"^Speed '.*': ") as caught:
        speed.parsed(text)
    assert caught.value.hint.startswith("Bundles: exact, fast, turbo; keys: dtype, compile")


def card(**spec: Any) -> dict[str, Any]:
    return {"pipeline": "diffusers", "weights": "acme/model", **spec}


def test_the_users_keys_count_over_the_cards_and_those_over_the_bundles() -> None:
    spec = card(speed={"compile": False, "attention": "math"})
    told = quickened(spec, Choice("fast", {"attention": "native"})).spec["speed"]
    assert told == {"bundle": "fast", "keys": {"compile": False, "attention": "native"}}
    json.dumps(told)


def test_a_cards_bundle_holds_where_nobody_said_another() -> None:
    spec = card(speed="fast")
    assert quickened(spec, Choice()).spec["speed"]["bundle"] == "fast"
    assert quickened(spec, Choice("exact")).spec["speed"]["bundle"] == "exact"


def test_a_number_format_takes_the_place_of_the_cards() -> None:
    spec = card(dtype="float32")
    assert quickened(spec, Choice("", {"dtype": "bfloat16"})).spec["dtype"] == "bfloat16"
    assert quickened(spec, Choice("", {"dtype": "auto"})).spec["dtype"] == "float32"


def test_turbo_takes_the_few_step_lora_that_a_card_names() -> None:
    spec = card(few_step=LORA, loras=[{"path": "acme/ink"}])
    quick = quickened(spec, Choice("turbo"))
    assert quick.call == {"num_inference_steps": 4}
    assert quick.spec["loras"] == [{"path": "acme/lightning", "scale": 0.9}, {"path": "acme/ink"}]
    assert quick.spec["speed"]["few_step"] is True
    for other in (Choice("fast"), Choice("turbo", {"few_step": False})):
        assert "few_step" not in quickened(spec, other).spec["speed"]
        assert quickened(spec, other).call == {}


def test_a_few_step_lora_asked_for_by_name_must_be_in_the_card() -> None:
    with pytest.raises(BadSettings, match="the model's card names no such LoRA"):
        quickened(card(), Choice("", {"few_step": True}))
    assert "few_step" not in quickened(card(), Choice("turbo")).spec["speed"]


@pytest.mark.parametrize("few_step", ["acme/x", {"scale": 1}, {"path": "a", "scale": "much"}])
def test_a_few_step_lora_that_is_none_is_the_cards_fault(few_step: Any) -> None:
    with pytest.raises(BadCard, match=r"^few_step: .* is no {path: …"):
        quickened(card(few_step=few_step), Choice("turbo"))


def test_wrong_settings_of_a_card_are_the_cards_fault() -> None:
    with pytest.raises(BadCard, match="speed: there is no key 'warp'"):
        quickened(card(speed={"warp": 9}), Choice())


def test_other_pipelines_have_no_speed_settings() -> None:
    assert quickened({"pipeline": "tools"}, Choice("turbo")).spec == {"pipeline": "tools"}
