"""`media-mcp keys`: made once, listed without what is shown, revoked."""

import pytest


def test_a_key_is_made_listed_and_revoked(cli):
    made = cli("keys", "create", "ann", "--scope", "read", "--days", "2", "--project", "films")
    assert made.code == 0 and made.out.startswith("mmk-")
    assert "This is shown once" in made.err
    (row,) = cli("keys", "list", "--json").json
    assert (row["caller"], row["scope"], row["project"]) == ("ann", "read", "films")
    assert made.out.strip() not in cli("keys", "list").out
    assert row["id"] in made.out
    assert f"{row['id']}  ann  revoked" in cli("keys", "revoke", row["id"]).out
    assert "No keys." in cli("keys", "list").out


def test_for_programs_the_key_is_json(cli):
    made = cli("keys", "create", "ann", "--json").json
    assert made["key"].startswith(f"mmk-{made['id']}-")
    assert made["scope"] == "run" and made["expires"] is None


def test_a_key_that_is_not_there_cannot_be_revoked(cli):
    ended = cli("keys", "revoke", "nobody")
    assert ended.code == 2
    assert "There is no key 'nobody'." in ended.err
    assert "media-mcp keys list" in ended.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("keys", "create", "local"), "local is who calls without a key"),
        (("keys", "create", "ann", "--project", "a b"), "'a b' is no name of a project"),
        (("keys", "create", "ann", "--scope", "root"), "'root' is not one of"),
    ],
)
def test_a_wrong_call_says_what_is_wrong(cli, words, said):
    ended = cli(*words)
    assert ended.code == 2 and said in ended.err


def test_a_folder_that_cannot_be_written_is_told(cli, place):
    (place / "data").write_text("no folder")
    ended = cli("keys", "create", "ann")
    assert ended.code != 0
    assert "The keys in" in ended.err and "cannot be written" in ended.err
