"""Texts are cut where a speaker takes breath, and nothing of them is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from media_mcp.worker.sentences import parts, sentences, turns


def test_sentences_end_where_they_do_in_print() -> None:
    text = 'It is 3.5 m. "Yes!" she said… Ok?\nA new line 你好。再见！end'
    assert sentences(text) == [
        "It is 3.5 m.",
        '"Yes!"',
        "she said…",
        "Ok?",
        "A new line 你好。",
        "再见！",
        "end",
    ]


@pytest.mark.parametrize(
    ("most", "cut"),
    [
        (60, ["One two, three four. Five six seven."]),
        (20, ["One two, three four.", "Five six seven."]),
        (15, ["One two,", "three four.", "Five six seven."]),
        (6, ["One", "two,", "three", "four.", "Five", "six", "seven."]),
        (4, ["One", "two,", "thre", "e", "four", ".", "Five", "six", "seve", "n."]),
    ],
)
def test_a_text_is_cut_at_sentences_then_clauses_then_words(most: int, cut: list[str]) -> None:
    assert parts("One two, three four. Five six seven.", most) == cut


@given(some.text(max_size=300), some.integers(1, 40))
def test_no_part_is_too_long_and_no_sign_is_lost(text: str, most: int) -> None:
    made = parts(text, most)
    assert all(0 < len(part) <= most for part in made)
    assert "".join("".join(made).split()) == "".join(text.split())


def test_a_script_is_cut_at_its_turns() -> None:
    assert turns("Before [S1] Hi. [S2] Ho. ", r"\[S\d\]") == ["Before", "[S1] Hi.", "[S2] Ho."]
    assert turns("No marks", r"\[S\d\]") == ["No marks"]
    assert turns(" ", r"\[S\d\]") == []
