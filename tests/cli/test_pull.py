"""`media-mcp pull`: the weights of a model come from a hub, whole or not at all."""

from __future__ import annotations

import json
import os
import signal
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hubplace import COMMIT, LARGE, Hub, Repo, open_hub

REPO = "acme/painter"
INDEX = {
    "_class_name": "FluxPipeline",
    "transformer": ["diffusers", "FluxTransformer2DModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "safety_checker": [None, None],
}
NEEDED = [
    "model_index.json",
    "tokenizer/merges.txt",
    "tokenizer/vocab.json",
    "transformer/config.json",
    "transformer/model-00001-of-00002.safetensors",
    "transformer/model-00002-of-00002.safetensors",
    "transformer/model.safetensors.index.json",
]


def weights(size: int = 64, seed: int = 0) -> bytes:
    """Bytes of a safetensors file with one tensor."""
    head = json.dumps({"a": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    return (
        struct.pack("<Q", len(head))
        + head
        + bytes((seed + n) % 251 for n in range(251)) * (size // 251)
        + bytes(size % 251)
    )


def painter(large: int = 300) -> dict[str, bytes]:
    first, second = NEEDED[4], NEEDED[5]
    shards = {"weight_map": {"a": Path(first).name, "b": Path(second).name}}
    return {
        "README.md": b"# A painter",
        "model_index.json": json.dumps(INDEX).encode(),
        "painter.safetensors": weights(500),  # all in one, for other programs
        "safety_checker/model.safetensors": weights(),
        "tokenizer/vocab.json": b"{}",
        "tokenizer/merges.txt": b"",
        "transformer/config.json": b"{}",
        "transformer/diffusion_pytorch_model.bin": b"pickle",
        first: weights(large, 1),
        second: weights(200, 2),
        "transformer/model.safetensors.index.json": json.dumps(shards).encode(),
        "transformer/model.fp16.safetensors": weights(100),
    }


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with open_hub() as made:
        made.repos[REPO] = Repo(painter())
        monkeypatch.setenv("HF_ENDPOINT", made.url)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        yield made


@pytest.fixture
def cached(tmp_path: Path) -> Callable[[str], Path]:
    """Give the path of a file in the hub's cache."""
    return lambda path: tmp_path / "hf/hub/models--acme--painter/snapshots" / COMMIT / path


def route(**more: Any) -> str:
    spec = {"pipeline": "diffusers", "weights": REPO} | more
    return json.dumps({"backend": "local", "spec": spec})


@pytest.fixture
def mine(card: Callable[..., Path]) -> str:
    card("my/painter", route())
    return "my/painter"


def there(cached: Callable[[str], Path]) -> list[str]:
    root = cached("")
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_what_the_class_needs_is_fetched_and_no_more(cli, hub: Hub, mine: str, cached) -> None:
    ended = cli("pull", mine)
    assert ended.code == 0, ended.err
    assert there(cached) == NEEDED
    assert "Licence: MIT" in ended.out
    assert "acme/painter  weights  apache-2.0  7" in ended.out
    assert "acme/painter: 7 files, " in ended.out
    assert cached(NEEDED[4]).read_bytes() == hub.repos[REPO].files[NEEDED[4]]


def test_after_a_pull_the_model_is_ready_and_a_second_one_fetches_nothing(
    cli, hub: Hub, mine: str
) -> None:
    assert "media-mcp pull my/painter" in cli("quote", mine, "prompt=x").out
    cli("pull", mine)
    assert "media-mcp pull" not in cli("quote", mine, "prompt=x").out
    hub.seen.clear()
    assert cli("pull", mine).code == 0
    assert hub.fetched() == []


def test_a_variant_is_fetched_alone(cli, hub: Hub, card, cached) -> None:
    card("my/painter", route(variant="fp16"))
    assert cli("pull", "my/painter").code == 0
    assert "transformer/model.fp16.safetensors" in there(cached)
    assert not [path for path in there(cached) if "-of-" in path]


def test_loras_and_companions_of_a_card_come_too(cli, hub: Hub, card, tmp_path: Path) -> None:
    hub.repos["acme/ink"] = Repo({"pytorch_lora_weights.safetensors": weights(), "a.png": b"x"})
    hub.repos["acme/vocoder"] = Repo({"config.json": b"{}", "model.safetensors": weights()})
    companions = {"vocoder": "acme/vocoder", "here": "/nowhere"}
    card("my/painter", route(loras=[{"path": "acme/ink"}], companions=companions))

    ended = cli("pull", "my/painter", "--json")

    told = {one["repo"]: one["files"] for one in ended.json["repositories"]}
    assert told == {REPO: 7, "acme/vocoder": 2, "acme/ink": 1}


def test_the_repository_of_the_weights_is_a_name_too(cli, hub: Hub, mine: str) -> None:
    assert cli("pull", REPO).code == 0


def test_a_dry_run_lists_and_leaves_nothing(cli, hub: Hub, mine: str, tmp_path: Path) -> None:
    ended = cli("pull", mine, "--dry-run")
    assert ended.code == 0
    assert f"acme/painter at {COMMIT}" in ended.out
    assert "transformer/model-00001-of-00002.safetensors" in ended.out
    assert "To fetch: " in ended.out
    assert not (tmp_path / "hf" / "hub").exists()
    (listed,) = cli("pull", mine, "--dry-run", "--json").json
    assert sorted(listed["sizes"]) == sorted(listed["absent"]) == NEEDED


def test_a_licence_that_is_not_free_wants_a_yes(cli, hub: Hub, card, place: Path) -> None:
    path = card("my/painter", route())
    path.write_text(path.read_text().replace("licence: MIT", "licence: Non-Commercial"))
    ended = cli("pull", "my/painter")
    assert ended.code == 4
    assert "The licence of my/painter is Non-Commercial" in ended.err
    assert "--yes" in ended.err
    assert not [path for path in hub.fetched() if path.endswith(".safetensors")]
    assert cli("pull", "my/painter", "--yes").code == 0


def test_a_connection_that_drops_goes_on_where_it_stopped(cli, hub: Hub, mine: str, cached) -> None:
    hub.repos[REPO].files = painter(LARGE)
    hub.drop_after, hub.drops = 4 * 2**20, 2
    assert cli("pull", mine).code == 0
    assert hub.ranges == [f"bytes={n * hub.drop_after}-" for n in (1, 2)]
    assert cached(NEEDED[4]).read_bytes() == hub.repos[REPO].files[NEEDED[4]]


def test_an_interrupted_pull_goes_on_where_it_stopped(
    child, hub: Hub, mine: str, cached, cli, tmp_path: Path
) -> None:
    hub.repos[REPO].files = painter(LARGE)
    hub.stick_after = 5 * 2**20
    started = child("pull", mine)
    part = cached("").parents[1] / "blobs" / f"{hub.repos[REPO].digest(NEEDED[4])}.part"
    while not (part.is_file() and part.stat().st_size >= 4 * 2**20):
        assert started.process.poll() is None
    assert started.end(signal.SIGINT).code == 130
    assert not cached(NEEDED[4]).exists()
    kept = part.stat().st_size
    hub.stick_after = 0

    assert cli("pull", mine).code == 0

    assert hub.ranges == [f"bytes={kept}-"]
    assert cached(NEEDED[4]).read_bytes() == hub.repos[REPO].files[NEEDED[4]]


def test_a_hub_that_knows_no_parts_sends_all_again(cli, hub: Hub, mine: str, cached) -> None:
    hub.repos[REPO].files = painter(LARGE)
    hub.drop_after, hub.drops, hub.knows_ranges = 4 * 2**20, 1, False
    assert cli("pull", mine).code == 0
    assert cached(NEEDED[4]).read_bytes() == hub.repos[REPO].files[NEEDED[4]]


def test_other_bytes_than_the_digest_says_are_not_kept(cli, hub: Hub, mine: str, cached) -> None:
    files = hub.repos[REPO].files = painter(LARGE)
    hub.repos[REPO].lies = {NEEDED[4]: bytes(len(files[NEEDED[4]]))}
    ended = cli("pull", mine)
    assert ended.code == 3
    assert "came with other bytes than the hub says" in ended.err
    assert not cached(NEEDED[4]).exists()
    hub.repos[REPO].lies = {}
    assert cli("pull", mine).code == 0


def test_what_was_there_is_used_until_all_of_the_newer_is(
    cli, hub: Hub, mine: str, cached, tmp_path: Path
) -> None:
    cli("pull", mine)
    newer = "beef" * 10
    hub.repos[REPO].commit, hub.repos[REPO].files = newer, painter(LARGE)
    hub.repos[REPO].lies = {NEEDED[4]: bytes(len(hub.repos[REPO].files[NEEDED[4]]))}
    reference = tmp_path / "hf/hub/models--acme--painter/refs/main"
    assert cli("pull", mine).code == 3
    assert reference.read_text() == COMMIT
    hub.repos[REPO].lies = {}
    assert cli("pull", mine).code == 0
    assert reference.read_text() == newer


def test_a_check_finds_what_is_broken_and_the_next_pull_mends_it(
    cli, hub: Hub, mine: str, cached
) -> None:
    cli("pull", mine)
    hub.seen.clear()
    assert cli("pull", mine, "--check").code == 0
    assert hub.seen == []
    cached(NEEDED[5]).write_bytes(b"x" * cached(NEEDED[5]).stat().st_size)

    ended = cli("pull", mine, "--check")

    assert ended.code == 1
    assert f"{REPO}/{NEEDED[5]} is broken" in ended.err
    assert "Run: media-mcp pull my/painter" in ended.err
    assert cli("pull", mine).code == 0
    assert cli("pull", mine, "--check").code == 0


def test_a_check_names_shards_that_are_absent(cli, hub: Hub, mine: str, cached) -> None:
    cli("pull", mine)
    cached(NEEDED[5]).unlink()
    ended = cli("pull", mine, "--check")
    assert ended.code == 1
    assert f"{NEEDED[5]} is absent, and transformer/model.safetensors.index.json" in ended.err


def test_a_check_of_what_was_never_fetched_says_so(cli, hub: Hub, mine: str) -> None:
    ended = cli("pull", mine, "--check")
    assert ended.code == 1
    assert "acme/painter is not on this machine" in ended.err


def test_gated_weights_name_the_page_and_the_login(
    cli, hub: Hub, mine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repos[REPO].gated, hub.token = True, "hf_secret"
    ended = cli("pull", mine)
    assert ended.code == 3
    assert "acme/painter are gated" in ended.err
    assert "https://huggingface.co/acme/painter, then run: hf auth login" in ended.err
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert cli("pull", mine).code == 0


@pytest.mark.parametrize(
    ("repo", "words"),
    [
        (None, "The hub has no weights acme/painter, or they are private."),
        (Repo({"model.bin": b"x", "config.json": b"{}"}), "it holds pickles only"),
        (Repo({"README.md": b"x"}), "it holds no weights"),
    ],
)
def test_a_repository_that_cannot_be_used_is_told(
    cli, hub: Hub, mine: str, repo: Repo | None, words: str
) -> None:
    hub.repos = {REPO: repo} if repo else {}
    ended = cli("pull", mine)
    assert ended.code == 3
    assert words in ended.err


@pytest.mark.parametrize("how", ["path", "digest"])
def test_a_hub_cannot_have_files_written_elsewhere(
    cli, hub: Hub, mine: str, tmp_path: Path, how: str
) -> None:
    precious = tmp_path / "precious.safetensors"
    precious.write_text("mine")
    repo = hub.repos[REPO]
    if how == "path":
        repo.files[f"transformer/{'../' * 9}{precious}"] = b"x"
    else:
        repo.digests = {NEEDED[4]: f"../../../../{precious.name}"}
    ended = cli("pull", mine)
    assert ended.code == 3
    assert f"The hub names what is no file of {REPO}" in ended.err
    assert precious.read_text() == "mine"


def test_a_revision_that_is_none_is_told(cli, hub: Hub, card) -> None:
    card("my/painter", route(revision="v9"))
    ended = cli("pull", "my/painter")
    assert (ended.code, "The hub has no weights acme/painter" in ended.err) == (3, True)


def test_a_hub_that_fails_is_told_with_its_number(cli, hub: Hub, mine: str) -> None:
    hub.status = 418
    ended = cli("pull", mine)
    assert ended.code == 3
    assert "The hub answered HTTP 418 for acme/painter." in ended.err


def test_without_a_network_it_says_so(
    cli, hub: Hub, mine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    ended = cli("pull", mine)
    assert ended.code == 3
    assert "The hub cannot be reached for acme/painter." in ended.err


def test_offline_nothing_is_fetched(
    cli, hub: Hub, mine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    ended = cli("pull", mine)
    assert (ended.code, "HF_HUB_OFFLINE is set" in ended.err) == (3, True)
    monkeypatch.setenv("MEDIA_MCP_OFFLINE", "1")
    ended = cli("pull", mine)
    assert (ended.code, "offline is set" in ended.err) == (4, True)
    assert hub.seen == []


def test_a_disk_that_is_too_small_is_told_before_anything_is_fetched(
    cli, hub: Hub, mine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("media_mcp.cli.pull.shutil.disk_usage", lambda path: usage)
    ended = cli("pull", mine)
    assert ended.code == 1
    assert "are to be fetched and" in ended.err and "1 kB free" in ended.err
    assert not [path for path in hub.fetched() if path.endswith(".safetensors")]


def test_a_python_without_the_hubs_library_is_told(
    cli, hub: Hub, mine: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    real = os.path.realpath("/proc/self/exe")
    python.write_text(f'#!/bin/sh\nexec "{real}" -S "$@"\n')
    python.chmod(0o755)
    monkeypatch.setenv("MEDIA_MCP_WORKER_PYTHON", str(python))
    ended = cli("pull", mine)
    assert ended.code == 3
    assert "huggingface_hub" in ended.err and 'pip install "media-mcp[local]"' in ended.err
    monkeypatch.setenv("MEDIA_MCP_WORKER_PYTHON", "/nowhere/python")
    assert "'/nowhere/python' cannot be started" in cli("pull", mine).err


def test_models_without_weights_to_fetch_say_so(cli, hub: Hub, card) -> None:
    ended = cli("pull", "sketch")
    assert ended.code == 0
    assert "nothing to fetch for sketch; its weights: embedded:sketch" in ended.out
    card("my/hosted", "{backend: rehearsal}")
    ended = cli("pull", "my/hosted")
    assert (ended.code, "has no route on this machine" in ended.err) == (2, True)
    ended = cli("pull", "sketchy")
    assert (ended.code, "sketch" in ended.err) == (2, True)
