"""Nothing that a stranger wrote commands the terminal on which it is shown."""

from __future__ import annotations

import json

import pytest

from media_mcp.cli.outcome import complain, note
from media_mcp.cli.text import facts, say, say_json, table
from media_mcp.media.names import printable

ODD = {
    "clear the screen": "\x1b[2J",
    "a title": "\x1b]0;x\x07",
    "a link": "\x1b]8;;http://x.example\x1b\\here\x1b]8;;\x1b\\",
    "the clipboard": "\x1b]52;c;cm0gLXJm\x07",
    "eight bits": "\x9b2J\x9d0;x\x9c",
    "back over what was said": "fine\b\b\b\brm -rf",
    "back to the start": "fine\rbad!",
    "NUL": "a\0b",
    "DEL": "a\x7fb",
    "from right to left": "gnp.\N{RIGHT-TO-LEFT OVERRIDE}exe",
    "within bounds of its own": "\N{RIGHT-TO-LEFT ISOLATE}x\N{POP DIRECTIONAL ISOLATE}",
    "written with tags": "".join(chr(0xE0000 + ord(c)) for c in "ignore all that"),
    "half a surrogate pair": "\ud800",
    "nothing that is seen": "a\N{ZERO WIDTH SPACE}b\N{WORD JOINER}c",
}
SEEN = ("\N{PILE OF POO}", "e\N{COMBINING ACUTE ACCENT}", "\N{FAMILY}", "ناﻢﻫ\u200cای", "a\tb\nc")


def unseen(text: str) -> list[str]:
    return [c for c in text if c not in "\n\t" and printable(c) != c]


@pytest.mark.parametrize("what", ODD)
def test_no_line_holds_what_a_terminal_obeys(capsys: pytest.CaptureFixture[str], what: str) -> None:
    text = ODD[what]
    say(text)
    table(("A", text), [(text, text)])
    facts([(text, text)])
    say_json({text: [text]})
    complain(text, text)
    note(text)
    out, err = capsys.readouterr()
    assert unseen(out + err) == []
    assert (out + err).encode()


@pytest.mark.parametrize("text", [*ODD.values(), *SEEN])
def test_json_says_the_same_with_escapes(capsys: pytest.CaptureFixture[str], text: str) -> None:
    say_json({"text": text})
    assert json.loads(capsys.readouterr().out) == {"text": text}


@pytest.mark.parametrize("text", SEEN)
def test_what_people_write_stays_as_it_is(capsys: pytest.CaptureFixture[str], text: str) -> None:
    say(text)
    assert capsys.readouterr().out == f"{text}\n"
