"""What the local backend says of weights that are, or are not, on this machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from media_mcp.backends.base import Readiness, Run
from media_mcp.backends.local import Local
from media_mcp.backends.local.configuration import Configuration
from media_mcp.backends.local.weights import hub_cache, readiness
from media_mcp.worker import protocol
from media_mcp.worker.pipelines import PIPELINES

REPO = "acme/painter"
COMMIT = "0123abc"
PARTS = {"_class_name": "P", "unet": ["diffusers", "UNet"], "safety_checker": [None, None]}


@pytest.fixture
def hub(tmp_path: Path) -> Callable[..., Path]:
    """Lay a snapshot of a repository into the cache below `tmp_path`, as the hub's client does."""

    def lay(repo: str = REPO, revision: str = "main", **files: Any) -> Path:
        kept = tmp_path / "hub" / f"models--{repo.replace('/', '--')}"
        (kept / "refs").mkdir(parents=True, exist_ok=True)
        (kept / "refs" / revision).write_text(COMMIT)
        for name, content in files.items():
            path = kept / "snapshots" / COMMIT / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content if isinstance(content, str) else json.dumps(content))
        return kept / "snapshots" / COMMIT

    return lay


@pytest.fixture
def told(tmp_path: Path) -> Callable[..., Readiness]:
    def tell(weights: str = REPO, **more: Any) -> Readiness:
        spec = {"pipeline": "diffusers", "weights": weights, **more}
        return readiness(spec, {"HF_HOME": str(tmp_path)})

    return tell


def test_the_pipelines_that_the_server_knows_are_those_of_the_worker() -> None:
    assert set(protocol.PIPELINES) == set(PIPELINES)


def test_a_pipeline_that_the_worker_has_not_is_named(told: Callable[..., Readiness]) -> None:
    known = ", ".join(protocol.PIPELINES)
    assert told(pipeline="magic").reason == f"the worker has no pipeline 'magic', only {known}."
    assert told(pipeline="magic").fix == "Take another route, or a newer media-mcp."


def test_weights_that_are_nowhere_are_named_with_their_size_and_the_command(
    told: Callable[..., Readiness],
) -> None:
    absent = told(memory_gb=38)
    assert absent.reason == (
        "the weights acme/painter are not on this machine (they take about 38 GB of memory)."
    )
    assert absent.fix == "Run: media-mcp pull acme/painter"
    assert told().reason == "the weights acme/painter are not on this machine."
    assert told(revision="v2").fix == "Run: media-mcp pull acme/painter"


def test_a_whole_snapshot_is_ready(
    told: Callable[..., Readiness], hub: Callable[..., Path]
) -> None:
    hub(**{"model_index.json": PARTS, "unet/diffusion.safetensors": "x"})
    assert told().ready
    assert told(revision=COMMIT).ready
    assert not told(revision="v2").ready


def test_a_download_that_stopped_half_way_is_not_ready(
    told: Callable[..., Readiness], hub: Callable[..., Path]
) -> None:
    hub(**{"model_index.json": PARTS})
    assert not told().ready
    shards = {"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}
    folder = hub(**{"unet/x.safetensors.index.json": shards, "unet/one.safetensors": "x"})
    assert not told().ready
    (folder / "unet" / "two.safetensors").write_text("x")
    assert told().ready


@pytest.mark.parametrize("broken", ["{", "[1]"])
def test_files_that_say_nothing_are_no_reason_to_fail(
    told: Callable[..., Readiness], hub: Callable[..., Path], broken: str
) -> None:
    hub(**{"model_index.json": broken})
    assert told().ready


def test_a_repository_that_is_no_pipeline_is_ready_once_it_holds_a_file(
    told: Callable[..., Readiness], hub: Callable[..., Path]
) -> None:
    folder = hub()
    folder.mkdir(parents=True)
    assert not told().ready
    hub(**{"config.json": {}})
    assert told().ready


def test_a_folder_of_ones_own_must_hold_a_pipeline(
    told: Callable[..., Readiness], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert told("~/painter").reason == f"there are no weights at {tmp_path / 'painter'}."
    (tmp_path / "painter").mkdir()
    (tmp_path / "painter" / "model_index.json").write_text("{}")
    assert told("~/painter").ready
    assert told(str(tmp_path / "painter")).ready


def test_a_modular_pipeline_is_known_by_its_index_and_may_have_parts_elsewhere(
    told: Callable[..., Readiness], hub: Callable[..., Path], tmp_path: Path
) -> None:
    there = {"pretrained_model_name_or_path": "acme/other"}
    index = {"transformer": ["diffusers", "T", {}], "text_encoder": ["transformers", "E", there]}
    hub(
        **{
            "modular_model_index.json": index,
            "transformer/model.safetensors.index.json": {"weight_map": {"a": "1.safetensors"}},
        }
    )
    assert not told().ready
    hub(**{"transformer/1.safetensors": "x"})
    assert told().ready


def test_parts_from_elsewhere_must_be_here_too(
    told: Callable[..., Readiness], hub: Callable[..., Path]
) -> None:
    llama = told("embedded:sketch", components={"text_encoder_4": "acme/llama"})
    assert llama.reason == "the weights acme/llama are not on this machine."
    hub("acme/llama", **{"config.json": {}})
    assert told("embedded:sketch", components={"text_encoder_4": "acme/llama"}).ready


def test_weights_that_are_embedded_are_always_here(told: Callable[..., Readiness]) -> None:
    assert told("embedded:sketch").ready


@pytest.mark.parametrize("wrong", ["", "painter", "./painter", "a/b/c"])
def test_weights_that_are_nothing_of_that_are_the_cards_fault(
    told: Callable[..., Readiness], wrong: str
) -> None:
    assert told(wrong).fix == "Mend the card."


def test_a_lora_must_be_here_too(
    told: Callable[..., Readiness], hub: Callable[..., Path], tmp_path: Path
) -> None:
    style = tmp_path / "style.safetensors"
    assert told("embedded:sketch", loras=[{"path": str(style), "scale": 0.8}]).reason == (
        f"there are no weights at {style}."
    )
    style.write_text("x")
    assert told("embedded:sketch", loras=[{"path": str(style)}]).ready
    lora = told("embedded:sketch", loras=[{"path": "acme/style"}], revision="v2")
    assert lora.fix == "Run: media-mcp pull acme/style"
    hub("acme/style", **{"pytorch_lora_weights.safetensors": "x"})
    assert told("embedded:sketch", loras=[{"path": "acme/style"}], revision="v2").ready


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"HF_HUB_CACHE": "/c", "HF_HOME": "/h"}, "/c"),
        ({"HF_HOME": "/h", "XDG_CACHE_HOME": "/x"}, "/h/hub"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/huggingface/hub"),
        ({}, "/somebody/.cache/huggingface/hub"),
    ],
)
def test_the_cache_is_where_the_hubs_own_client_looks(
    environment: dict[str, str], folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/somebody")
    assert hub_cache(environment) == Path(folder)


@pytest.mark.anyio
async def test_a_quote_for_absent_weights_says_so_and_fetches_nothing(
    scripted: Callable[..., str],
    run_of: Callable[..., Run],
    hub: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    spec = {"pipeline": "diffusers", "weights": REPO, "memory_gb": 20}
    local, run = Local(Configuration(name="local", worker_python=scripted(""))), run_of(spec=spec)
    assert (await local.readiness()).ready
    quote = local.quote(run.model, run.route, {})
    assert (quote.high, quote.ready) == (0.0, False)
    assert quote.reason == (
        "the weights acme/painter are not on this machine (they take about 20 GB of memory). "
        f"Run: media-mcp pull {run.model.id}"
    )
    assert (quote.seconds, quote.timing) == (None, "")
    hub(**{"model_index.json": {}})
    assert local.quote(run.model, run.route, {}).ready
    assert not local.worker_pids
    await local.aclose()


@pytest.mark.parametrize("makes", ["text", "model3d"])
def test_what_the_pipeline_does_not_make_is_told(makes: str) -> None:
    told = readiness({"pipeline": "diffusers", "weights": "embedded:sketch"}, {}, makes)
    assert not told.ready
    assert told.reason == (
        f"the worker's pipeline 'diffusers' does not run this one: it makes {makes}."
    )
