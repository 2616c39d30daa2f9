"""`models`, `describe`, `quote`: what there is and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from media_mcp.catalog.describe import price_words
from media_mcp.job import Price

COUNT = "num_images: {type: integer, minimum: 1, maximum: 4, description: How many.}"
CLIP = """\
id: my/clip
title: Clip
task: text-to-video
licence: hosted, commercial use
description: Makes clips in tests.
speed: fast
good_at: [tests]
bad_at: [film]
uncertain: Its limits are not known.
retired: true
successor: rehearsal/video
alternatives: [rehearsal/video]
inputs:
  duration: {type: string, enum: ["5", "10"], default: "5", description: Seconds.}
  length: {type: string, replaced_by: duration, description: The old name.}
outputs:
  video: {kind: video, mime_type: video/mp4}
routes:
  - backend: moon
    licence: Apache-2.0
    price: {amount: 0.1, unit: second, as_of: 2026-07}
"""


def test_models_are_listed_with_task_price_and_backend(cli):
    ended = cli("models", "sketch")
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0].split() == ["MODEL", "TASK", "PRICE", "BACKENDS", "ABOUT"]
    assert next(line for line in lines if line.startswith("sketch ")).split()[1:4] == [
        "text-to-image",
        "free",
        "local",
    ]


def test_the_best_fit_comes_first(cli):
    assert cli("models", "rehearsal/transcript", "--json").json[0]["id"] == "rehearsal/transcript"


def test_a_task_narrows_the_list_and_a_limit_cuts_it(cli):
    assert {m["task"] for m in cli("models", "--task", "text-to-video", "--json").json} == {
        "text-to-video"
    }
    assert len(cli("models", "--limit", "2", "--json").json) == 2


def test_a_task_that_nothing_does_gets_the_nearest(cli):
    ended = cli("models", "--task", "text-to-picture")
    assert ended.code == 2
    assert "error: No model does the task 'text-to-picture'.\nhint: Did you mean" in ended.err


@pytest.mark.usefixtures("vouched")
def test_filters_narrow_the_list(cli, card: Callable[..., Path]):
    for name, route in (
        ("dear", "{backend: moon, price: {amount: 2, unit: image}}"),
        ("cheap", "{backend: moon, price: {amount: 0.1, unit: image}}"),
        ("own", "{backend: rehearsal}"),
    ):
        path = card(f"my/{name}", route)
        path.write_text(path.read_text().replace("MIT", "Tester"))

    def found(*words):
        listed = cli("models", "--licence", "Tester", "--json", *words).json
        return {model["id"] for model in listed}

    assert found() == {"my/dear", "my/cheap", "my/own"}
    assert found("--max-price", "1") == {"my/cheap"}
    assert found("--runs-here") == {"my/own"}
    assert len(found("--runs-here", "--limit", "1")) == 1
    assert found("--media-in", "image") == found("--media-out", "video") == set()
    assert found("--provider", "nobody") == set()
    assert found("--media-out", "image") == {"my/dear", "my/cheap", "my/own"}


def test_where_all_is_rehearsed_every_model_runs_here(cli, card: Callable[..., Path], monkeypatch):
    monkeypatch.setenv("MEDIA_MCP_REHEARSE", "true")
    card("my/dear", "{backend: moon}")
    found = cli("models", "my/dear", "--runs-here", "--json").json
    assert found[0]["id"] == "my/dear"


def test_a_kind_of_media_that_is_none_is_refused_with_those_there_are(cli):
    ended = cli("models", "--media-in", "smell")
    assert ended.code == 2
    assert "'image'" in ended.err


def test_nothing_that_fits_shows_the_tasks(cli):
    ended = cli("models", "zzzzqqq")
    assert (ended.code, ended.out.startswith("No model fits. Tasks there are: ")) == (0, True)


@pytest.mark.usefixtures("vouched")
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


@pytest.mark.usefixtures("vouched")
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


@pytest.mark.usefixtures("vouched")
def test_a_description_tells_what_each_route_costs_and_what_is_doubtful(cli, place: Path):
    (place / "catalog").mkdir()
    (place / "catalog" / "clip.yaml").write_text(CLIP)
    out = cli("describe", "my/clip").out
    line = next(line for line in out.splitlines() if line.startswith("moon"))
    assert line.split("  ")[0] == "moon"
    assert "$0.1 per second (2026-07)" in line and "$0.5" in line and "Apache-2.0" in line
    for words in (
        "good at       tests",
        "bad at        film",
        "speed         under 10 s",
        "uncertain     Its limits are not known.",
        "retired       may be gone where it ran",
        "successor     rehearsal/video",
        "alternatives  rehearsal/video",
    ):
        assert words in out
    about = cli("describe", "my/clip", "--json").json
    assert about["routes"][0]["licence"] == "Apache-2.0"
    assert about["alternatives"] == ["rehearsal/video"]


@pytest.mark.usefixtures("vouched")
def test_a_quote_tells_price_time_and_what_is_doubtful(cli, place: Path):
    (place / "catalog").mkdir()
    (place / "catalog" / "clip.yaml").write_text(CLIP)
    ended = cli("quote", "my/clip", "length=5")
    assert ended.code == 3
    assert "$0.5" in ended.out and "10.0" in ended.out
    assert "note: length is now called duration; it was taken as that." in ended.out
    assert "note: Its limits are not known." in ended.out
    assert "note: rehearsal/video took its place." in ended.out
    (row,) = cli("quote", "my/clip", "duration=10", "--json").json
    assert (row["low_usd"], row["high_usd"], row["certainty"]) == (1.0, 1.0, "listed")
    assert (row["as_of"], row["licence"], row["timing"]) == (
        "2026-07",
        "Apache-2.0",
        "fast: under 10 s",
    )
    assert row["basis"] == "10 seconds × $0.1 (listed 2026-07)"


@pytest.mark.usefixtures("vouched")
def test_a_price_range_and_a_time_that_is_not_known_are_told(cli, card: Callable[..., Path]):
    path = card(route="{backend: moon, price: {amount: 0.1, unit: image}}")
    path.write_text(path.read_text().replace("inputs:", f"inputs:\n  {COUNT}"))
    line = cli("quote", "my/model", "prompt=x").out.splitlines()[1]
    assert "$0.1 to $0.4" in line and "unknown" in line


def test_a_quote_of_what_is_rehearsed_is_free(cli, card: Callable[..., Path], monkeypatch):
    monkeypatch.setenv("MEDIA_MCP_REHEARSE", "true")
    card(route="{backend: moon, price: {amount: 9, unit: image}}")
    assert cli("quote", "my/model", "prompt=x").out.splitlines()[1].split()[:2] == [
        "rehearsal",
        "free",
    ]


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


def test_the_rules_of_the_project_hold_for_commands(cli, card: Callable[..., Path], place: Path):
    card("my/here", "{backend: rehearsal, licence: Apache-2.0}")
    card("my/hosted", "{backend: fal, price: {amount: 1, unit: call}}")
    (place / "media-mcp.toml").write_text(
        '[projects.films]\noffline = true\n[projects.strict]\nlicences = ["Apache-2.0"]\n'
        'prefer = "local"\n'
    )
    (row,) = cli("quote", "my/hosted", "prompt=x", "--project", "films", "--json").json
    assert row["reason"].startswith("projects.films.offline = true forbids what leaves")
    refused = cli("run", "my/hosted", "prompt=x", "--project", "films")
    assert (refused.code, refused.err.splitlines()[0]) == (
        4,
        "error: my/hosted may not run (fal: projects.films.offline = true forbids what leaves this "
        "machine).",
    )
    made = cli("run", "my/here", "prompt=x", "--project", "strict", "--json")
    assert made.json["why_route"] == "rehearsal: first by prefer=local"
    here = ["models", "--runs-here", "--json", "--project"]
    found = {row["id"] for row in cli(*here, "films").json}
    assert "my/here" in found
    assert "my/hosted" not in found
    wrong = cli("models", "--project", "no/name")
    assert (wrong.code, wrong.err.partition(" (given")[0]) == (
        3,
        "error: Setting project: String should match pattern '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'",
    )
