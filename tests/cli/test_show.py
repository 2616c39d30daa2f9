"""`models`, `describe`, `quote`: what there is and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from media_mcp.catalog.describe import price_words
from media_mcp.job import Price


def test_models_are_listed_with_task_price_and_backend(cli):
    ended = cli("models")
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0].split() == ["MODEL", "TASK", "PRICE", "BACKENDS", "ABOUT"]
    assert next(line for line in lines if line.startswith("sketch ")).split()[1:4] == [
        "text-to-image",
        "free",
        "local",
    ]


def test_the_best_fit_comes_first(cli):
    assert cli("models", "stand-in", "transcript", "--json").json[0]["id"] == "rehearsal/transcript"


def test_a_task_narrows_the_list_and_a_limit_cuts_it(cli):
    assert {m["task"] for m in cli("models", "--task", "text-to-video", "--json").json} == {
        "text-to-video"
    }
    assert len(cli("models", "--limit", "2", "--json").json) == 2


def test_a_task_that_nothing_does_gets_the_nearest(cli):
    ended = cli("models", "--task", "text-to-picture")
    assert ended.code == 2
    assert "error: No model does the task 'text-to-picture'.\nhint: Did you mean" in ended.err


def test_nothing_that_fits_shows_the_tasks(cli):
    ended = cli("models", "zzzzqqq")
    assert (ended.code, ended.out.startswith("No model fits. Tasks there are: ")) == (0, True)


def test_routes_are_told_with_their_prices(cli, card: Callable[..., Path]):
    card(route="{backend: moon, price: {amount: 0.04, unit: image, as_of: 2026-11}}")
    assert cli("models", "my/model", "--json").json[0]["routes"] == [
        {
            "backend": "moon",
            "price": {
                "amount_usd": 0.04,
                "unit": "image",
                "certainty": "listed",
                "as_of": "2026-11",
            },
        }
    ]
    assert "$0.04 per image" in cli("describe", "my/model").out


def test_a_price_that_is_not_known_is_not_guessed(cli, card: Callable[..., Path]):
    card(route="{backend: moon}")
    assert cli("describe", "my/model", "--json").json["routes"][0]["price"] is None
    assert price_words(None) == price_words(Price(1, "call", "unknown")) == "price unknown"


def test_a_model_is_described_with_bounds_defaults_and_an_example(cli):
    out = cli("describe", "sketch").out
    assert out.startswith("sketch: Sketch\n")
    assert "[64, 128, 256, 512]" in out and "[1 to 4]" in out and "required" in out
    assert "media-mcp run sketch prompt='a red circle" in out


def test_kinds_of_media_and_arrays_are_shown_as_types(cli, card: Callable[..., Path]):
    card()
    assert "string array" in cli("describe", "my/model").out
    assert "image_url  image" in cli("describe", "rehearsal/edit").out


def test_a_description_for_programs_holds_the_schema(cli):
    about = cli("describe", "sketch", "--json").json
    assert about["arguments"]["properties"]["steps"]["maximum"] == 50
    assert about["outputs"] == [{"role": "images", "kind": "image", "mime_type": "image/png"}]
    assert about["examples"]


def test_another_folder_of_cards_can_be_laid_over(cli, card: Callable[..., Path], place: Path):
    card("over/there")
    (place / "catalog").rename(place / "cards")
    assert cli("describe", "over/there").code == 2
    assert cli("describe", "over/there", "--catalog-dir", "cards").code == 0


def test_a_quote_says_what_each_route_costs(cli):
    ended = cli("quote", "rehearsal/image", "prompt=x")
    assert ended.code == 0
    assert ended.out.splitlines()[1].split()[:4] == ["rehearsal", "free", "0.0", "yes"]
    assert cli("quote", "rehearsal/image", "prompt=x", "--json").json[0]["high_usd"] == 0


def test_a_quote_checks_the_arguments(cli):
    assert cli("quote", "rehearsal/image").code == 2


def test_a_quote_for_what_cannot_run_ends_with_3_and_the_reason(cli, card: Callable[..., Path]):
    card(route="{backend: moon}")
    ended = cli("quote", "my/model", "prompt=x")
    assert ended.code == 3
    assert "not set up on this server" in ended.out
    assert "reason" in cli("quote", "my/model", "prompt=x", "--json").json[0]


def test_a_quote_runs_nothing(cli):
    cli("quote", "rehearsal/image", "prompt=x")
    assert cli("jobs").out == "No jobs.\n"
