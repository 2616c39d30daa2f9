"""`media-mcp env …` with the profile of eSpeak NG, as it ships: its package is really fetched."""

from __future__ import annotations

import wave
from pathlib import Path

import pytest


def test_an_environment_is_made_spoken_with_and_removed(cli, place: Path):
    before = {row["name"]: row for row in cli("env", "list", "--json").json}
    assert before["espeak"]["state"] == "not made"
    assert before["espeak"]["fix"] == "Run: media-mcp env create espeak"
    absent = cli("run", "tools/espeak", "text=Bonjour")
    assert absent.code == 3
    assert "Run: media-mcp env create espeak" in absent.err

    made = cli("env", "create", "espeak")
    assert (made.code, made.err.splitlines()[0].split(",")[0]) == (
        0,
        "espeak-ng is licensed under the GPL",
    )
    assert made.out.startswith(f"espeak is ready: {place}/data/envs/espeak/")
    assert cli("env", "check", "espeak").out.startswith("espeak is whole: Python 3.")
    assert "espeak" in cli("env", "list").out

    spoken = cli("run", "tools/espeak", "text=Bonjour", "language=fr", "--out", "said")
    assert spoken.code == 0, spoken.err
    (path,) = Path("said").iterdir()
    with wave.open(str(path)) as sound:
        assert sound.getnframes() / sound.getframerate() > 0.3

    assert cli("env", "remove", "espeak").out == "espeak: removed.\n"
    assert cli("env", "remove", "espeak").out == "espeak: there was none.\n"
    gone = cli("env", "check", "espeak")
    assert gone.code == 3
    assert "espeak: its Python environment has not been made." in gone.err


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        (("env", "create", "espaek"), "Did you mean espeak?"),
        (("env", "check", "local"), "These have one: "),
    ],
)
def test_a_place_without_one_is_told_with_those_that_have_one(cli, command, hint):
    ended = cli(*command)
    assert ended.code == 3
    assert f"No place {command[2]!r} has an environment of its own." in ended.err
    assert hint in ended.err


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('kind = "local"\n[environment]\nrequirements = "piper"\n', "environment."),
        ('kind = "local"\ndevice = "toaster"\n', "device"),
        ("kind = [", "cannot be read: "),
    ],
)
def test_one_place_that_nobody_can_read_hides_no_other(cli, place: Path, text: str, wrong: str):
    file = place / "config" / "media-mcp" / "backends" / "voices" / "backend.toml"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    listed = cli("env", "list")
    assert listed.code == 0
    lines = {line.split()[0]: line for line in listed.out.splitlines()}
    assert lines["espeak"].split()[1:3] == ["not", "made"]
    assert lines["voices"].split(maxsplit=1)[1].startswith(f"cannot be read  {file}")
    assert wrong in lines["voices"]
    rows = {row["name"]: row for row in cli("env", "list", "--json").json}
    assert (rows["voices"]["state"], rows["voices"]["folder"]) == ("cannot be read", None)
    assert cli("env", "remove", "espeak").code == 0
    refused = cli("env", "create", "voices")
    assert refused.code != 0 and wrong in refused.err
