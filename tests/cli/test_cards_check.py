"""`media-mcp catalog check`: every fault at once, with file and line, and what is covered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

LOCAL = "{backend: local, spec: {pipeline: diffusers}, price: {amount: 0, unit: call}}"


def test_the_cards_that_ship_are_right(cli):
    ended = cli("catalog", "check", "--json")
    assert (ended.code, ended.json["errors"], ended.json["warnings"]) == (0, [], [])
    assert ended.json["models"] > 1575
    assert sum(row["models"] for row in ended.json["coverage"]) == ended.json["models"]


def test_every_wrong_card_is_named(cli, card: Callable[..., Path]):
    one, two, right = card("one", LOCAL), card("two", LOCAL), card("three", LOCAL)
    one.write_text(one.read_text().replace("title: A model", "titel: A model"))
    two.write_text("id: [")
    ended = cli("catalog", "check", "catalog")
    assert ended.code == 1
    assert f"error: {one}:1: title: Field required." in ended.err
    assert f"error: {two}:1" in ended.err or f"error: {two}:2" in ended.err
    assert right.name not in ended.err
    assert ended.out.endswith("3 cards, 1 models, 2 errors, 0 warnings.\n")


def test_single_cards_can_be_checked_and_show_what_they_cover(cli, card: Callable[..., Path]):
    ended = cli("catalog", "check", str(card("one", LOCAL)), str(card("two", LOCAL)))
    assert (ended.code, ended.err) == (0, "")
    lines = [line.split() for line in ended.out.splitlines()]
    assert lines[:3] == [
        ["TASK", "MODELS", "PRICED", "LICENSED", "LOCAL", "CURATED", "UNCERTAIN"],
        ["text-to-image", "2", "2", "2", "2", "2", "0"],
        ["all", "2", "2", "2", "2", "2", "0"],
    ]
    assert ended.out.endswith("2 cards, 2 models, 0 errors, 0 warnings.\n")


def test_a_warning_names_its_line_and_is_no_failure(cli, card: Callable[..., Path]):
    path = card()
    ended = cli("catalog", "check", path)
    line = path.read_text().splitlines().index("  - {backend: rehearsal}") + 1
    assert ended.code == 0
    assert f"warning: {path}:{line}: routes.0: the route rehearsal says no price." in ended.err


def test_a_card_is_checked_over_what_ships(cli, place: Path):
    path = place / "mine.yaml"
    path.write_text(
        "id: my/sketch\n"
        "title: My sketch\n"
        "description: Draws in red.\n"
        "extends: sketch\n"
        'prompt: "red, {prompt}"\n'
        "fixed: {steps: 99}\n"
    )
    ended = cli("catalog", "check", str(path))
    assert ended.code == 1
    assert f"{path}:6: fixed.steps: must be at most 50, but 99 was given." in ended.err
    path.write_text(path.read_text().replace("99", "20"))
    assert cli("catalog", "check", str(path)).code == 0


def test_a_broken_card_elsewhere_is_no_fault_of_the_one_that_is_asked_about(
    cli, card: Callable[..., Path]
):
    card("broken").write_text("id: [")
    ended = cli("catalog", "check", str(card("right", LOCAL)))
    assert (ended.code, ended.err) == (0, "")


def test_an_example_that_its_own_model_would_refuse_is_an_error(cli, card: Callable[..., Path]):
    path = card("my/model", LOCAL)
    path.write_text(
        path.read_text() + "examples:\n  - {title: Loud, arguments: {prompt: x, loud: 3}}\n"
    )
    ended = cli("catalog", "check", str(path))
    line = len(path.read_text().splitlines())
    assert ended.code == 1
    assert f"error: {path}:{line}: examples.0: my/model, example 'Loud': loud: must" in ended.err


def test_a_key_that_is_given_twice_is_an_error(cli, card: Callable[..., Path]):
    path = card("my/model", LOCAL)
    lines = path.read_text().splitlines()
    again = "  prompt: {type: string, max_length: 5, max_length: 6, description: Again.}"
    lines.insert(lines.index("outputs:"), again)
    path.write_text("\n".join(lines))
    ended = cli("catalog", "check", str(path))
    line = lines.index(again) + 1
    assert ended.code == 1
    assert f"error: {path}:{line}: max_length is given twice; only the last counts." in ended.err
    assert f"error: {path}:{line}: prompt is given twice; only the last counts." in ended.err


def test_an_anchor_that_is_used_again_is_not_given_twice(cli, card: Callable[..., Path]):
    path = card("my/model", LOCAL)
    text = path.read_text().replace("loud: {", "loud: &loud {")
    path.write_text(text.replace("outputs:", "  again: *loud\n  more: *loud\noutputs:"))
    assert cli("catalog", "check", str(path)).err == ""


def test_two_models_with_one_tool_name_are_an_error(cli, card: Callable[..., Path]):
    card("a/b")
    card("a_b")
    ended = cli("catalog", "check", "catalog")
    assert ended.code == 1
    assert "share the tool name a_b" in ended.err


def test_a_folder_that_is_not_there_is_an_error(cli):
    ended = cli("catalog", "check", "nowhere")
    assert ended.code == 2
    assert "error: There is no folder or card nowhere." in ended.err
