"""What a person at a terminal sees: a bar while it runs, a few lines after it."""

from __future__ import annotations

import os
import pty
import re
from collections.abc import Callable

import pytest

END_OF_INPUT = b"\x04"


def shown(child: Callable[..., object], *words: str, typed: bytes = b"") -> tuple[int, str]:
    """Run a command on a pseudo-terminal and return its exit code and all it showed."""
    ours, theirs = pty.openpty()
    running = child(*words, stdin=theirs, stdout=theirs, stderr=theirs, TERM="xterm")
    os.close(theirs)
    os.write(ours, typed)
    seen = b""
    try:
        while data := os.read(ours, 4096):
            seen += data
    except OSError:  # how Linux says that the other side is closed
        pass
    os.close(ours)
    return running.process.wait(timeout=30), re.sub("\x1b\\[[0-9;?]*[a-zA-Z]", "", seen.decode())


def test_a_bar_while_it_runs_and_lines_after(child, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MEDIA_MCP_REHEARSE_SECONDS", "1")
    code, seen = shown(
        child, "run", "rehearsal/image", "prompt=hello", "width=64", "height=64", "seed=5"
    )
    assert code == 0
    assert "rehearsal/image: running" in seen and "/10" in seen
    assert "64 x 64 px, " in seen
    lines = dict(line.split(maxsplit=1) for line in seen.splitlines()[-4:])
    assert (lines["seed"], lines["route"]) == ("5", "rehearsal")


def test_a_recording_shows_its_seconds_and_a_transcript_its_text(child, cli):
    voice = cli("run", "rehearsal/speech", "prompt=hello there", "--out", ".").json["assets"][0]
    code, seen = shown(child, "run", "rehearsal/music", "prompt=x", "duration=1")
    assert code == 0 and "1.0 s, " in seen
    code, seen = shown(child, "run", "rehearsal/transcript", f"audio_url={voice['path']}")
    assert code == 0 and "rehears" in seen.lower()


def test_a_table_fits_the_width(child, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "90")
    code, seen = shown(child, "models")
    assert code == 0
    assert all(len(line) <= 90 for line in seen.splitlines())
    assert "…" in seen


def test_the_help_shows_the_settings_apart(child):
    code, seen = shown(child, "serve", "--help")
    assert code == 0
    assert "Settings" in seen and "--data-dir" in seen


def test_a_server_started_by_hand_says_what_it_is_for(child):
    code, seen = shown(child, "serve", typed=END_OF_INPUT)
    assert code == 0
    assert "an MCP client starts it" in seen
