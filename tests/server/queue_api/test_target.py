"""Which of fal's hosts a request means: by Host, by path, or by what its proxy header names."""

from __future__ import annotations

import pytest

from media_mcp.server.queue_api.target import (
    BadTarget,
    NoTarget,
    Target,
    place_of_host,
    target_of,
)

HERE = "127.0.0.1:8787"


def found(path: str, host: str = HERE, *, scheme: str = "http", calls: bool = False, **more: str):
    headers = {b"host": host.encode()}
    headers |= {name.replace("_", "-").encode(): text.encode() for name, text in more.items()}
    return target_of(scheme, path, "a=1", headers, calls=calls)


@pytest.mark.parametrize(
    ("host", "place"),
    [
        ("queue.fal.run", "queue"),
        ("queue.falrun.com", "queue"),
        ("queue.fal.run:443", "queue"),
        ("fal.run", "run"),
        ("ws.fal.run", "run"),
        ("rest.fal.ai", "rest"),
        ("rest.alpha.fal.ai", "rest"),
        ("v3.fal.media", "cdn"),
        ("v3b.fal.media", "cdn"),
        ("api.fal.ai", "api"),
        ("queue.localhost:8787", "queue"),
        ("rest.localhost", "rest"),
        ("localhost:8787", None),
        ("queue.evil.example", None),
        ("evil-fal.run", None),
        ("fal.run.evil.example", None),
        ("", None),
    ],
)
def test_a_host_stands_for_a_place(host: str, place: str | None) -> None:
    assert place_of_host(host) == place


def test_a_host_of_fals_answers_under_its_own_name_and_files_lie_at_the_media_host() -> None:
    assert found("/fal-ai/flux/", "Queue.fal.run", scheme="https") == Target(
        "queue", "fal-ai/flux", "a=1", "https://queue.fal.run", "https://v3.fal.media"
    )


def test_a_place_by_its_label_under_localhost_has_its_files_at_localhost() -> None:
    target = found("/fal-ai/flux", "queue.localhost:8787")
    assert (target.base, target.origin) == ("http://queue.localhost:8787", "http://localhost:8787")


@pytest.mark.parametrize(
    ("path", "place", "rest", "base"),
    [
        ("/queue/fal-ai/flux/dev", "queue", "fal-ai/flux/dev", f"http://{HERE}/queue"),
        ("/run/sketch", "run", "sketch", f"http://{HERE}/run"),
        ("/rest/tokens/", "rest", "tokens", f"http://{HERE}/rest"),
        ("/cdn/files/upload", "cdn", "files/upload", f"http://{HERE}/cdn"),
        ("/files/ab.png", "cdn", "files/ab.png", f"http://{HERE}"),
        ("/.well-known/jwks.json", "rest", ".well-known/jwks.json", f"http://{HERE}"),
    ],
)
def test_a_path_begins_with_its_place(path: str, place: str, rest: str, base: str) -> None:
    assert found(path) == Target(place, rest, "a=1", base, f"http://{HERE}")


@pytest.mark.parametrize("path", ["/mcp", "/health", "/v1/models", "/", "/fal-ai/flux"])
def test_other_paths_are_other_doors(path: str) -> None:
    assert found(path) is None


def test_a_call_of_a_model_needs_no_place_in_its_path() -> None:
    target = found("/fal-ai/flux/dev", "localhost:8787", calls=True)
    assert target == Target(
        "run", "fal-ai/flux/dev", "a=1", "http://localhost:8787", "http://localhost:8787"
    )


@pytest.mark.parametrize("path", ["/mcp", "/v1/models/pricing/estimate", "/", "/health"])
def test_a_call_of_another_door_stays_its_own(path: str) -> None:
    assert found(path, calls=True) is None


def test_a_named_target_goes_before_host_and_path() -> None:
    url = "https://queue.fal.run/fal-ai/flux/requests/1/status?logs=1"
    assert found("/proxy", x_fal_target_url=url) == Target(
        "queue",
        "fal-ai/flux/requests/1/status",
        "logs=1",
        "https://queue.fal.run",
        f"http://{HERE}",
    )
    assert found("/queue/other", x_fal_target_url=url).path == "fal-ai/flux/requests/1/status"
    assert found("/mcp", x_fal_target_url="https://rest.fal.ai/tokens/").place == "rest"


def test_a_named_target_may_be_this_server_itself() -> None:
    target = found("/proxy", x_fal_target_url="http://localhost:1/queue/a%2Db/c")
    assert (target.place, target.path, target.base) == (
        "queue",
        "a-b/c",
        "http://localhost:1/queue",
    )
    assert found("/proxy", "box:9", x_fal_target_url="https://box:9/run/a").place == "run"


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/fal-ai/flux",
        "https://localhost/mcp",
        "ftp://queue.fal.run/x",
        "https://user@queue.fal.run/x",
        "queue.fal.run/x",
        "https://[::1",
        "",
    ],
)
def test_a_named_target_elsewhere_is_refused(url: str) -> None:
    with pytest.raises(BadTarget, match="names no address that this server plays"):
        found("/proxy", x_fal_target_url=url)


def test_the_proxys_address_wants_a_target() -> None:
    with pytest.raises(NoTarget, match="x-fal-target-url is missing"):
        found("/proxy/")
