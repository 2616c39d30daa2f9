"""Keys: shown once, kept as a hash, found at once, gone at once."""

import json
import stat

import pytest

from media_mcp.errors import BadSettings, InvalidArguments, NotFound
from media_mcp.job import Caller
from media_mcp.server.keyring import KeyRing, caller_of_key


@pytest.fixture
def ring(tmp_path):
    return KeyRing(tmp_path)


def test_a_key_is_found_by_what_was_shown(ring):
    key, text = ring.create("ann", "run")
    assert ring.find(text) == key
    assert caller_of_key(key, "films") == Caller("ann", "films")
    assert caller_of_key(key, "films").scope == "run"


def test_what_is_kept_cannot_be_shown(ring, tmp_path):
    key, text = ring.create("ann", "run")
    kept = (tmp_path / "keys.json").read_text()
    assert text not in kept and text.rpartition("-")[2] not in kept
    assert ring.find(key.digest) is None
    assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("change", [lambda t: t[:-1], lambda t: t[:-1] + "g", lambda t: t + "0"])
def test_anything_else_is_no_key(ring, change):
    _, text = ring.create("ann", "run")
    assert ring.find(change(text)) is None
    last = "0" if text[-1] != "0" else "1"
    assert ring.find(text[:-1] + last) is None


def test_another_process_sees_a_change_at_once(ring, tmp_path):
    other = KeyRing(tmp_path)
    _, text = ring.create("ann", "read")
    assert other.find(text).owner == "ann"
    other.revoke("ann")
    assert ring.find(text) is None


def test_a_key_holds_as_long_as_it_was_made_for(tmp_path):
    now = 1000.0
    ring = KeyRing(tmp_path, lambda: now)
    _, text = ring.create("ann", "run", seconds=60)
    assert ring.find(text)
    now = 1060.0
    assert ring.find(text) is None


def test_keys_are_asked_for_from_the_first_one_on_though_all_be_revoked(ring):
    assert not ring
    ring.create("ann", "run")
    ring.revoke("ann")
    assert ring and ring.keys() == []


def test_one_key_or_all_of_a_caller_are_revoked(ring):
    first, _ = ring.create("ann", "run")
    second, _ = ring.create("ann", "run")
    third, text = ring.create("bob", "admin", project="films")
    assert ring.revoke(first.id) == [first]
    assert ring.revoke("ann") == [second]
    assert ring.keys() == [third]
    assert caller_of_key(ring.find(text), "default").project == "films"
    with pytest.raises(NotFound, match="There is no key 'ann'"):
        ring.revoke("ann")


@pytest.mark.parametrize("name", ["", "local", "a b", "x" * 65, "../etc", "ann\n"])
def test_a_name_that_could_be_taken_for_something_else_is_refused(ring, name):
    with pytest.raises(InvalidArguments, match=r"name: .* must be letters, digits"):
        ring.create(name, "run")
    assert not ring


@pytest.mark.parametrize("content", ["", "{}", "[1]", json.dumps([{"id": "x"}])])
def test_a_damaged_file_opens_no_door(ring, tmp_path, content):
    _, text = ring.create("ann", "run")
    (tmp_path / "keys.json").write_text(content)
    if content == "{}":
        assert KeyRing(tmp_path).find(text) is None
        return
    with pytest.raises(BadSettings, match="cannot be read as a list of keys"):
        KeyRing(tmp_path).find(text)
