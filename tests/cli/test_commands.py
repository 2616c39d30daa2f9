"""What holds for every command: help, version, how they end, what they import."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from media_mcp import __version__
from media_mcp.cli.outcome import ExitCode, code_of
from media_mcp.cli.result import bytes_words
from media_mcp.cli.text import clean
from media_mcp.errors import (
    BackendFailed,
    BadMedia,
    BadSettings,
    MissingExtra,
    NotFound,
    Refused,
    StorageFailed,
)

COMMANDS = ["serve", "run", "models", "describe", "quote", "jobs", "cancel", "doctor", "catalog"]
HEAVY = ["mcp", "uvicorn", "starlette", "rich", "av", "PIL", "torch", "numpy", "obstore"]


def test_the_version_is_told(cli):
    assert cli("--version").out == f"media-mcp {__version__}\n"


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)])
def test_the_help_teaches_the_first_steps(cli, words):
    ended = cli(*words)
    assert ended.code == 0
    assert "claude mcp add media -- media-mcp serve" in ended.out
    assert all(f"  {command} " in ended.out for command in COMMANDS)


@pytest.mark.parametrize("command", [c for c in COMMANDS if c not in ("catalog", "doctor")])
def test_every_command_shows_an_example(cli, command):
    ended = cli(command, "--help")
    assert ended.code == 0
    assert f"  media-mcp {command}" in ended.out


def test_an_unknown_command_gets_the_nearest(cli):
    ended = cli("rnu")
    assert ended.code == 2
    assert "error: No such command 'rnu'. Did you mean 'run'?" in ended.err


def test_an_unknown_option_points_at_the_help(cli):
    ended = cli("jobs", "--stat", "failed")
    assert ended.code == 2
    assert "hint: See media-mcp jobs --help." in ended.err


def loaded(code: str) -> set[str]:
    """Return the modules in a fresh process after `code`."""
    ask = f"import sys\n{code}\nsys.stderr.write(' '.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", ask], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stderr.split())


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["models"], ["describe", "sketch"]])
def test_a_quick_command_imports_nothing_heavy(words):
    modules = loaded(f"from media_mcp.cli import main; main({words!r})")
    assert modules.isdisjoint(HEAVY)


def test_a_run_imports_no_server_of_the_web_and_no_bar():
    words = ["run", "rehearsal/image", "prompt=x", "width=64", "height=64"]
    modules = loaded(f"from media_mcp.cli import main; main({words!r})")
    assert modules.isdisjoint({"uvicorn", "starlette", "rich", "torch", "numpy"})


def test_a_reader_that_leaves_early_gets_no_words(child):
    ours, theirs = os.pipe()
    os.close(ours)
    ended = child("models", stdout=theirs)
    os.close(theirs)
    assert ended.process.wait(timeout=60) == 1
    assert ended.process.stderr.read() == ""


def test_ctrl_c_while_reading_the_prompt_says_so(cli, monkeypatch):
    class Interrupted:
        def read(self) -> str:
            raise KeyboardInterrupt

    monkeypatch.setattr("sys.stdin", Interrupted())
    ended = cli("run", "rehearsal/image", "prompt=@-")
    assert (ended.code, ended.err) == (130, "error: Interrupted.\n")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotFound(""), ExitCode.USAGE),
        (BadMedia(""), ExitCode.USAGE),
        (BadSettings(""), ExitCode.NOT_CONFIGURED),
        (MissingExtra("torch", "local"), ExitCode.NOT_CONFIGURED),
        (Refused(""), ExitCode.REFUSED),
        (BackendFailed(""), ExitCode.FAILED),
        (StorageFailed(""), ExitCode.FAILED),
    ],
)
def test_exit_codes_tell_who_has_to_act(error, code):
    assert code_of(error) is code


def test_text_of_others_cannot_move_the_cursor():
    assert clean("a\x1b[2Jb\nc\u202ed") == "a [2Jb c d"


@pytest.mark.parametrize(
    ("size", "words"),
    [(12, "12 bytes"), (1541, "1.54 kB"), (44_000_000, "44 MB"), (25_300_000_000, "25.3 GB")],
)
def test_sizes_are_told_in_the_unit_that_fits(size, words):
    assert bytes_words(size) == words
