import re

import pytest

from media_mcp.media import name_for
from media_mcp.media.names import redact, shown


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("A red boat, at night!", "a-red-boat-at-night"),
        ("../../etc/passwd", "etc-passwd"),
        ("Crème brûlée № 5", "creme-brulee-no-5"),
        ("ｆｕｌｌ ｗｉｄｔｈ", "full-width"),
        ("红色的船", "media"),
        ("a\u202egnp.exe\u0000b", "agnp-exe-b"),
        ("", "media"),
        ("...", "media"),
        ("CON", "media-con"),
        ("lpt1", "media-lpt1"),
    ],
)
def test_a_name_is_a_plain_slug(text: str, slug: str) -> None:
    assert name_for(text) == slug


def test_what_is_shown_is_short_printable_and_on_one_line() -> None:
    assert shown("a\nb\x1b[31m\udcff\u202e") == r"a\nb\x1b[31m\udcff\u202e"
    assert shown("x" * 201) == "x" * 199 + "…"
    shown("\ud800").encode()


def test_a_name_is_never_longer_than_48_characters_nor_ends_in_a_dash() -> None:
    name = name_for("word " * 1000)
    assert len(name) <= 48
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:pw@example.com:8443/a/b.png?key=1#x", "https://example.com:8443/a/b.png"),
        ("http://[::1]:80/x", "http://[::1]:80/x"),
        ("http://host/x", "http://host/x"),
        ("http://user:pw@host:99999999/x", "the URL"),
        ("http://[broken/x?token=1", "the URL"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert redact(url) == shown
