"""Where weights are and how much memory they take, from the headers of their files."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from media_mcp.errors import BadCard, NotConfigured
from media_mcp.worker.weights import HERE, estimate, local_folder


def write_weights(file: Path, **tensors: tuple[str, list[int], int]) -> None:
    """Write a safetensors header; no tensor follows, as none is read."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    for name, (dtype, shape, size) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [0, size]}
    text = json.dumps(header).encode()
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(struct.pack("<Q", len(text)) + text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    index = {
        "_class_name": "FluxPipeline",
        "transformer": ["diffusers", "FluxTransformer2DModel"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "safety_checker": [None, None],
    }
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    return tmp_path


def test_floats_count_as_they_are_loaded_and_others_as_they_are_stored(folder: Path) -> None:
    file = folder / "transformer" / "model.safetensors"
    write_weights(file, a=("BF16", [10, 10], 200), b=("I8", [7], 7), c=("F32", [], 4))

    assert estimate(folder, 4) == 400 + 7 + 4
    assert estimate(folder, 2) == 200 + 7 + 2


def test_shards_count_once_each_and_other_files_of_the_component_do_not(folder: Path) -> None:
    part = folder / "transformer"
    for name in ("one.safetensors", "two.safetensors", "stray.safetensors"):
        write_weights(part / name, a=("F16", [100], 200))
    shards = {
        "weight_map": {"a": "one.safetensors", "b": "two.safetensors", "c": "two.safetensors"}
    }
    (part / "model.safetensors.index.json").write_text(json.dumps(shards))

    assert estimate(folder, 2) == 400


def test_variants_of_the_same_weights_do_not_count_twice(folder: Path) -> None:
    write_weights(folder / "text_encoder" / "model.safetensors", a=("F32", [100], 400))
    write_weights(folder / "text_encoder" / "model.fp16.safetensors", a=("F16", [100], 200))
    assert estimate(folder, 2) == 200

    (folder / "text_encoder" / "model.safetensors").unlink()
    assert estimate(folder, 4) == 400


def test_components_that_are_absent_take_nothing(folder: Path) -> None:
    write_weights(folder / "safety_checker" / "model.safetensors", a=("F32", [100], 400))
    assert estimate(folder, 4) == 0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"short",
        struct.pack("<Q", 2**40) + b"{}",
        struct.pack("<Q", 9) + b"not json!",
        struct.pack("<Q", 14) + b'{"a":{"x": 1}}',
        struct.pack("<Q", 8) + b'{"a": 1}',
    ],
)
def test_a_broken_file_is_named(folder: Path, content: bytes) -> None:
    file = folder / "transformer" / "model.safetensors"
    file.parent.mkdir()
    file.write_bytes(content)

    with pytest.raises(NotConfigured) as caught:
        estimate(folder, 2)

    assert str(file) in caught.value.message
    assert caught.value.hint == "Fetch it again."


def test_a_broken_index_is_named(folder: Path) -> None:
    (folder / "model_index.json").write_text("{")
    with pytest.raises(NotConfigured, match=r"model_index\.json cannot be read"):
        estimate(folder, 2)
    (folder / "model_index.json").write_text("[]")
    assert estimate(folder, 2) == 0


def test_the_embedded_weights_are_part_of_the_package() -> None:
    folder = local_folder("embedded:sketch")
    assert folder == HERE / "sketch"
    assert 10**6 < estimate(folder, 4) < 40 * 10**6


@pytest.mark.parametrize("weights", ["embedded:nothing", "/nowhere/at/all", "~/nowhere/at/all"])
def test_weights_that_are_not_there_are_named(weights: str, tmp_path: Path) -> None:
    with pytest.raises(NotConfigured, match=r"There are no weights at .*no model_index\.json") as e:
        local_folder(weights)
    assert e.value.hint


@pytest.mark.parametrize(
    "weights", ["embedded:../secret", "embedded:", "./here", "a/b/c", "", "x y"]
)
def test_weights_that_are_no_place_are_a_fault_of_the_card(weights: str) -> None:
    with pytest.raises(BadCard) as caught:
        local_folder(weights)
    assert "weights" in caught.value.message
    assert "card" in caught.value.hint


def test_an_absolute_folder_and_a_hub_id_are_told_apart(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert local_folder(str(folder)) == folder
    assert local_folder("black-forest-labs/FLUX.1-schnell") is None
    monkeypatch.setenv("HOME", str(folder.parent))
    assert local_folder(f"~/{folder.name}") == folder
