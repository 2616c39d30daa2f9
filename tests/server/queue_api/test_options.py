"""What a submit asks for in headers and parameters, and what of it makes no sense."""

from __future__ import annotations

from typing import Any

import pytest

from media_mcp.job import Caller
from media_mcp.server.queue_api.calls import BadRequest, Call
from media_mcp.server.queue_api.options import Options, options_of, wants_logs
from media_mcp.server.queue_api.target import Target


def call(query: str = "", **headers: str) -> Call:
    raw = {name.replace("_", "-").encode(): text.encode() for name, text in headers.items()}
    target = Target("queue", "a/b", query, "http://x/queue", "http://x")
    nothing: Any = None
    return Call({"type": "http", "method": "POST"}, nothing, nothing, raw, target, Caller())


def test_without_a_word_there_is_nothing_special() -> None:
    assert options_of(call()) == Options()


def test_every_option_is_read() -> None:
    asked = call(
        "fal_webhook=https%3A%2F%2Fexample.com%2Fhook%3Fa%3D1&fal_max_queue_length=10",
        x_fal_queue_priority="low",
        x_fal_request_timeout="12.0",
        x_fal_store_io="0",
        x_fal_no_retry="1",
        x_fal_runner_hint="lora-a",
        idempotency_key="4f3c",
        x_fal_object_lifecycle_preference='{"expiration_duration_seconds": 3600}',
    )
    assert options_of(asked) == Options(
        priority=-1,
        start_within=12.0,
        private=True,
        webhook="https://example.com/hook?a=1",
        lifetime=3600.0,
        key="4f3c",
        hint="lora-a",
        most=10,
        retry=False,
    )


def test_the_newer_name_of_the_start_timeout_wins() -> None:
    asked = call(x_fal_request_timeout="9", x_fal_request_start_timeout="0.5")
    assert options_of(asked).start_within == 0.5


@pytest.mark.parametrize(
    ("header", "text", "words"),
    [
        ("x_fal_queue_priority", "high", "X-Fal-Queue-Priority is 'high'. Write normal or low."),
        ("x_fal_request_timeout", "soon", "X-Fal-Request-Timeout is 'soon'."),
        ("x_fal_request_timeout", "0.1", "seconds, more than 0.1"),
        ("x_fal_request_timeout", "nan", "seconds"),
        ("x_fal_request_timeout", "inf", "seconds"),
        ("x_fal_request_start_timeout", "-3", "X-Fal-Request-Start-Timeout is '-3'."),
        ("idempotency_key", "k" * 256, "Idempotency-Key has 256 characters"),
        ("idempotency_key", "a\x07b", "some that cannot be printed"),
        ("x_fal_runner_hint", "h" * 16385, "X-Fal-Runner-Hint has 16385 characters."),
        ("x_fal_object_lifecycle_preference", "1h", "X-Fal-Object-Lifecycle"),
    ],
)
def test_a_header_that_makes_no_sense_says_what_would(header: str, text: str, words: str) -> None:
    with pytest.raises(BadRequest) as caught:
        options_of(call(**{header: text}))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "url", ["nowhere", "ftp://a/b", "http://", "http://a:0/", "http://a:99999/", "http://[::1"]
)
def test_a_webhook_must_be_an_address(url: str) -> None:
    with pytest.raises(BadRequest, match=r"fal_webhook is no address.*https://host/path"):
        options_of(call(f"fal_webhook={url}"))


@pytest.mark.parametrize("url", ["http://me:x@a/b", "http://a/%C3%BC", "http://a/" + "b" * 2000])
def test_a_webhook_must_be_plain(url: str) -> None:
    with pytest.raises(BadRequest, match="fal_webhook cannot be used"):
        options_of(call(f"fal_webhook={url}"))


@pytest.mark.parametrize(
    "text", ["00000001" + "9" * 5000, "0", "-1", "1e3", "x", "9999999", "10000000000", "٣"]
)
def test_the_longest_queue_is_a_whole_number(text: str) -> None:
    with pytest.raises(BadRequest, match="from 1 to 1000000"):
        options_of(call(f"fal_max_queue_length={text}"))


@pytest.mark.parametrize(
    ("given", "wanted"),
    [("1", True), ("true", True), ("True", True), ("yes", True), ("0", False), ("", False)],
)
def test_logs_are_asked_for_as_both_clients_do(given: str, wanted: bool) -> None:
    assert wants_logs({"logs": given}) is wanted
    assert not wants_logs({})
