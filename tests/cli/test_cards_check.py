"""`media-mcp catalog check`: every error at once, with file and line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def test_the_cards_that_ship_are_right(cli):
    ended = cli("catalog", "check", "--json")
    assert (ended.code, ended.json["errors"]) == (0, [])
    assert ended.json["models"] >= 7


def test_every_wrong_card_is_named(cli, card: Callable[..., Path]):
    one, two, right = card("one"), card("two"), card("three")
    one.write_text(one.read_text().replace("title: A model", "titel: A model"))
    two.write_text("id: [")
    ended = cli("catalog", "check", "catalog")
    assert ended.code == 1
    assert f"error: {one}:2" in ended.err or f"error: {one}:1" in ended.err
    assert f"error: {two}:1" in ended.err or f"error: {two}:2" in ended.err
    assert right.name not in ended.err
    assert ended.out == "3 cards, 1 models, 2 errors.\n"


def test_one_card_can_be_checked(cli, card: Callable[..., Path]):
    assert cli("catalog", "check", str(card())).out == "1 cards, 1 models, 0 errors.\n"


def test_an_example_that_its_own_model_would_refuse_is_an_error(cli, card: Callable[..., Path]):
    path = card()
    path.write_text(
        path.read_text() + "examples:\n  - {title: Loud, arguments: {prompt: x, loud: 3}}\n"
    )
    ended = cli("catalog", "check", str(path))
    assert ended.code == 1
    assert "my/model, example 'Loud': loud: must be of type boolean" in ended.err


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
