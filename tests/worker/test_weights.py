"""Where weights are and how much memory they take, from the headers of their files."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from media_mcp.errors import BadCard, NotConfigured
from media_mcp.worker.weights import HERE, adapter_bytes, estimate, local_folder, parts


def write_weights(file: Path, **tensors: tuple[str, list[Any], int]) -> None:
    """Write a safetensors file whose tensors are all in one place, and a hole."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    for name, (dtype, shape, size) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [0, size]}
    text = json.dumps(header).encode()
    file.parent.mkdir(exist_ok=True)
    with file.open("wb") as opened:
        opened.write(struct.pack("<Q", len(text)) + text)
        opened.truncate(opened.tell() + max(size for _, _, size in tensors.values()))


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
    plain, half = ("F32", [100], 400), ("F16", [300], 600)
    write_weights(folder / "text_encoder" / "model.safetensors", a=plain)
    write_weights(folder / "text_encoder" / "model.fp16.safetensors", a=half)
    assert estimate(folder, 2) == 200
    assert estimate(folder, 2, "fp16") == 600

    (folder / "text_encoder" / "model.safetensors").unlink()
    assert estimate(folder, 4) == 1200


@pytest.mark.parametrize(
    "index", ["model.safetensors.index.fp16.json", "model.fp16.safetensors.index.json"]
)
@pytest.mark.parametrize(
    "shard", ["model.fp16-00001-of-00001.safetensors", "model-00001-of-00001.fp16.safetensors"]
)
def test_variants_may_come_in_shards(folder: Path, index: str, shard: str) -> None:
    part = folder / "text_encoder"
    write_weights(part / shard, a=("F16", [300], 600))
    (part / index).write_text(json.dumps({"weight_map": {"a": shard}}))
    write_weights(part / "model-00001-of-00001.safetensors", a=("F32", [100], 400))
    plain = {"weight_map": {"a": "model-00001-of-00001.safetensors"}}
    (part / "model.safetensors.index.json").write_text(json.dumps(plain))

    assert estimate(folder, 2, "fp16") == 600
    assert estimate(folder, 2) == 200
    assert estimate(folder, 2, "bf16") == 200  # a part of which there is no such variant


def test_eight_bits_are_cast_unless_the_weights_are_quantized(folder: Path) -> None:
    write_weights(folder / "transformer" / "w.safetensors", a=("F8_E4M3", [100], 100))
    assert estimate(folder, 2) == 200
    config = folder / "transformer" / "config.json"
    config.write_text(json.dumps({"quantization_config": {"quant_method": "torchao"}}))
    assert estimate(folder, 2) == 100


def test_packed_integers_count_as_they_are_stored(folder: Path) -> None:
    write_weights(folder / "transformer" / "w.safetensors", a=("U8", [50, 1], 50))
    assert estimate(folder, 4) == 50


def test_each_component_is_told(folder: Path) -> None:
    for part, count in (("transformer", 100), ("text_encoder", 10)):
        write_weights(folder / part / "w.safetensors", a=("BF16", [count], 2 * count))
    (folder / "scheduler").mkdir()
    assert parts(folder, 2) == {"transformer": 200, "text_encoder": 20}


def test_a_folder_of_transformers_has_its_weights_at_the_top(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    write_weights(tmp_path / "model.safetensors", a=("F32", [100], 400))
    assert local_folder(str(tmp_path)) == tmp_path
    assert estimate(tmp_path, 2) == 200


def test_a_modular_pipeline_names_folders_and_other_repositories(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "hub"
    other = cache / "models--acme--encoder"
    (other / "refs").mkdir(parents=True)
    (other / "refs" / "main").write_text("c0ffee")
    kept = other / "snapshots" / "c0ffee" / "text"
    kept.mkdir(parents=True)
    (kept.parent / "README.md").touch()
    write_weights(kept / "model.safetensors", a=("BF16", [7], 14))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    mine = tmp_path / "pipeline"
    mine.mkdir()
    write_weights(mine / "transformer" / "w.safetensors", a=("BF16", [100], 200))
    there = {"pretrained_model_name_or_path": "acme/encoder", "subfolder": "text"}
    absent = {"pretrained_model_name_or_path": "acme/nothing", "subfolder": "vae"}
    here = {"pretrained_model_name_or_path": str(mine), "subfolder": "transformer"}
    index = {
        "_class_name": "FluxModularPipeline",
        "transformer": ["diffusers", "FluxTransformer2DModel", here],
        "text_encoder": ["transformers", "CLIPTextModel", there],
        "vae": ["diffusers", "AutoencoderKL", absent],
        "scheduler": [None, None, {}],
    }
    (mine / "modular_model_index.json").write_text(json.dumps(index))

    assert parts(mine, 2) == {"transformer": 200, "text_encoder": 14}


def test_adapters_count_beside_the_weights(tmp_path: Path) -> None:
    file = tmp_path / "style.safetensors"
    write_weights(file, a=("F32", [100], 400))
    assert adapter_bytes([file, file], 2) == 400


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
        struct.pack("<Q", 40_000) + b'{"a":' * 8_000,
        struct.pack("<Q", 900) + b"{}",
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


def written(file: Path, **told: Any) -> Path:
    text = json.dumps({"a": {"dtype": "F16", "shape": [8], "data_offsets": [0, 16]} | told})
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(struct.pack("<Q", len(text)) + text.encode() + b"x" * 16)
    return file


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"data_offsets": [0, 900]}, "it is cut off: 16 of at least 900 bytes are there"),
        ({"data_offsets": [16, 0]}, "a tensor lies outside the file"),
        ({"shape": [10**12]}, "a tensor has another size than its shape says"),
        ({"shape": [-8]}, "a tensor has an odd shape"),
        ({"shape": [True]}, "a tensor has an odd shape"),
        ({"shape": ["8"]}, "a tensor has an odd shape"),
    ],
)
def test_a_header_that_lies_is_told(folder: Path, told: dict[str, Any], reason: str) -> None:
    file = folder / "transformer" / "model.safetensors"
    written(file)
    assert estimate(folder, 2) == 16
    written(file, **told)
    with pytest.raises(NotConfigured) as caught:
        estimate(folder, 2)
    assert caught.value.message == f"Weights file {file} cannot be read: {reason}."


def test_shards_that_are_absent_are_named_with_what_fetches_them(folder: Path) -> None:
    part = folder / "transformer"
    write_weights(part / "one.safetensors", a=("F16", [100], 200))
    names = {"a": "one.safetensors"} | {n: f"{n}.safetensors" for n in "bcde"}
    (part / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))

    with pytest.raises(NotConfigured) as caught:
        estimate(folder, 2)
    assert caught.value.message.startswith("Of the 5 files that ")
    assert caught.value.message.endswith(
        " 4 are absent: b.safetensors, c.safetensors, d.safetensors, …."
    )
    assert "media-mcp pull" in caught.value.hint


def test_an_index_may_not_name_files_elsewhere(folder: Path) -> None:
    part = folder / "transformer"
    part.mkdir()
    names = {"weight_map": {"a": "../../../etc/passwd"}}
    (part / "model.safetensors.index.json").write_text(json.dumps(names))
    with pytest.raises(NotConfigured, match="it names a file outside its folder"):
        estimate(folder, 2)


def test_pickles_alone_are_refused(folder: Path) -> None:
    (folder / "transformer").mkdir()
    (folder / "transformer" / "diffusion_pytorch_model.bin").touch()
    with pytest.raises(NotConfigured, match="are pickles, which can hold code") as caught:
        estimate(folder, 2)
    assert "safetensors" in caught.value.hint


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
    with pytest.raises(
        NotConfigured, match=r"There are no weights at .*: no model_index\.json or"
    ) as e:
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
