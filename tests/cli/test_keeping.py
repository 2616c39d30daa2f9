"""`gc` and `assets`."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

SMALL = ("rehearsal/image", "prompt=a red boat", "width=64", "height=64")


@pytest.fixture
def made(cli):
    """A job that was answered long ago, and its asset."""
    job = cli("run", *SMALL, "seed=3").json
    return job, job["assets"][0]


@pytest.fixture
def aged(place):
    def age():
        with closing(sqlite3.connect(place / "data" / "jobs.sqlite")) as db, db:
            db.execute("UPDATE holdings SET used_at = 0")

    return age


def test_gc_shows_first_and_removes_then(cli, made, aged):
    job, asset = made
    aged()
    would = cli("gc", "--dry-run", "--age", "30d")
    assert would.code == 0 and asset["uri"] in would.out
    assert "Would free" in would.out and "1 assets" in would.out
    told = cli("gc", "--age", "30d", "--json").json
    assert (told["dry_run"], told["bytes"]) == (False, asset["bytes"])
    assert [each["uri"] for each in told["assets"]] == [asset["uri"]]
    assert f"{asset['uri']} was removed on" in cli("jobs", job["job_id"]).out
    shown = cli("jobs", job["job_id"], "--json").json["assets"][0]
    assert shown["removed"].endswith("by retention") and "path" not in shown
    assert "Freed 0 bytes: 0 assets" in cli("gc", "--age", "30d").out


def test_gc_without_bounds_removes_no_asset_and_says_how_to(cli, made, aged):
    aged()
    ended = cli("gc")
    assert "No asset goes by age or size: set [retention]" in ended.out
    assert cli("gc", "--size", "0", "--dry-run", "--json").json["assets"]


def test_gc_goes_by_the_users_own_settings_and_never_by_a_working_folders(
    cli, place, made, aged, caplog, monkeypatch
):
    aged()
    (place / "media-mcp.toml").write_text('[retention]\nage = "1s"\n')
    assert cli("gc", "--json").json["assets"] == []
    assert "retention in a working folder's file is passed over" in caplog.text
    monkeypatch.setenv("MEDIA_MCP_RETENTION", '{"age": "30d", "size": "50GB"}')
    assert len(cli("gc", "--json").json["assets"]) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--age", "soon"), "Write a length of time as 30d, 12h, 90m"),
        (("--age", "0d"), "greater than 0"),
        (("--age", "nan"), "Write a length of time"),
        (("--size", "much"), "could not parse value"),
    ],
)
def test_a_bound_that_is_none_is_said(cli, words, said):
    ended = cli("gc", *words)
    assert ended.code == 3
    assert said in ended.err


def test_assets_are_listed_pinned_and_let_go(cli, made, aged):
    job, asset = made
    assert cli("assets", "pin", job["job_id"]).out == f"{asset['uri']}  pinned\n"
    aged()
    assert cli("gc", "--age", "1d", "--json").json["assets"] == []
    (listed,) = cli("assets", "list", "--pinned", "--json").json
    assert (listed["uri"], listed["pinned"], listed["owner"]) == (asset["uri"], True, "local")
    assert "pinned" in cli("assets", "list").out
    assert "pinned" in cli("jobs", job["job_id"]).out
    assert cli("assets", "unpin", asset["uri"]).out == f"{asset['uri']}  not pinned\n"
    assert cli("assets", "list", "--pinned").out == "No assets.\n"
    assert cli("assets", "list", "--owner", "ann").out == "No assets.\n"
    assert asset["uri"] in cli("assets", "list", "--all").out


@pytest.mark.parametrize("name", ["media://x", f"media://{'0' * 64}.png", "nothing"])
def test_what_is_not_there_cannot_be_pinned(cli, name):
    ended = cli("assets", "pin", name)
    assert ended.code == 2
    assert "There is no job" in ended.err or "local has no asset" in ended.err
