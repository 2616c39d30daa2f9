"""Who calls, by the key that a request shows."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from media_mcp.job import Caller
from media_mcp.server.auth import Gate

KEY = "id:secret-of-the-server"


def shown(text: str) -> dict[bytes, bytes]:
    return {b"authorization": text.encode()}


@pytest.mark.parametrize(
    "text", ["Key id:secret-of-the-server", "bearer  id:secret-of-the-server "]
)
def test_the_key_is_taken_in_both_schemes(text: str) -> None:
    assert Gate(SecretStr(KEY)).caller_of_request(shown(text)) == Caller()


@pytest.mark.parametrize(
    "text",
    ["", "Key", "Key ", "Key id", f"Basic {KEY}", KEY, f"Key {KEY}x", "Key \xff\x00", "Key ü"],
)
def test_anything_else_is_nobody(text: str) -> None:
    assert Gate(SecretStr(KEY)).caller_of_request(shown(text)) is None
    assert Gate(SecretStr(KEY)).caller_of_request({}) is None


@pytest.mark.parametrize("key", [None, SecretStr("")])
def test_without_a_key_everybody_is_the_local_caller(key: SecretStr | None) -> None:
    gate = Gate(key)
    assert not gate.locked
    assert gate.caller_of_request({}) == gate.caller_of_request(shown("Key x")) == Caller()
