"""LoRAs that stay loaded between jobs, and those that a call brings."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from media_mcp.errors import BadSettings, InvalidArguments, NotConfigured
from media_mcp.worker.pipelines import diffusers as pipeline
from media_mcp.worker.pipelines import lorafiles, loras
from media_mcp.worker.residency import Residency
from media_mcp.worker.work import Product, Work

CALL = {
    "prompt": "a",
    "guidance_scale": 0.0,
    "max_sequence_length": 48,
    "width": 64,
    "height": 64,
    "num_inference_steps": 2,
}
LAYER = "transformer.single_transformer_blocks.0.attn.to_q"
Make = Callable[..., Path]


@pytest.fixture(scope="module")
def residency() -> Residency:
    return Residency(10**9, lambda: None)


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Make a LoRA of layers of the tiny FLUX, by seed."""

    def made(seed: int, *layers: str, rank: int = 4, width: int = 32) -> Path:
        import torch
        from safetensors.torch import save_file

        torch.manual_seed(seed)
        halves = {"lora_A": torch.randn(rank, width), "lora_B": torch.randn(width, rank)}
        path = tmp_path_factory.mktemp("loras") / f"style-{seed}.safetensors"
        names = layers or (LAYER,)
        save_file({f"{n}.{h}.weight": 2 * t for n in names for h, t in halves.items()}, path)
        return path

    return made


class Easel:
    """Draws with LoRAs that come with the call, on weights that stay loaded."""

    def __init__(self, work_of: Callable[..., Work], weights: Path, told: Any) -> None:
        self._work_of, self._weights, self.told = work_of, weights, told
        self.facts: Any = {}

    def draw(self, *paths: Path, scale: Any = 1, **spec: Any) -> bytes:
        uris = {f"media://{index}.bin": str(path) for index, path in enumerate(paths)}
        return self.call([{"path": uri, "scale": scale} for uri in uris], uris, **spec)

    def call(self, given: Any, inputs: dict[str, str] | None = None, **spec: Any) -> bytes:
        self.told.lines.clear()
        work = self._work_of(
            {"weights": str(self._weights)} | spec,
            told=self.told,
            inputs=inputs or {},
            arguments={"loras": given},
            **CALL,
        )
        product: Product = pipeline.run(work)
        self.facts = product.facts
        return (work.folder / product.outputs[0].path).read_bytes()

    def lines(self, word: str) -> list[str]:
        return [line for line in self.told.lines if word in line]


@pytest.fixture
def easel(work_of: Callable[..., Work], tiny_flux: Path, told: Any) -> Easel:
    return Easel(work_of, tiny_flux, told)


def test_a_call_brings_a_lora_that_counts_for_it_alone(easel: Easel, make: Make) -> None:
    plain = easel.call(None)
    assert easel.draw(make(1)) != plain
    assert easel.call(None) == easel.call([]) == plain


def test_a_file_that_is_loaded_is_not_loaded_again_wherever_it_lies(
    easel: Easel, make: Make, tmp_path: Path
) -> None:
    first = easel.draw(make(2))
    assert easel.lines("Loading the LoRA style-2.safetensors at 1.")
    twin = shutil.copy(make(2), tmp_path / "twin.bin")
    assert easel.draw(Path(twin)) == first
    assert easel.lines("Using the LoRA twin.bin at 1, loaded before.")
    assert not easel.lines("Loading the LoRA")


def test_the_same_file_twice_counts_twice(easel: Easel, make: Make) -> None:
    assert easel.draw(make(2), make(2), scale=0.5) == easel.draw(make(2), scale=1)


def test_a_loras_of_the_card_and_of_the_call_count_together(easel: Easel, make: Make) -> None:
    card = [{"path": str(make(2)), "scale": 1}]
    both = easel.draw(make(3), loras=card)
    assert both == easel.draw(make(2), make(3))
    assert both not in (easel.draw(make(3)), easel.call(None, loras=card))


def test_the_least_recently_used_goes_and_comes_again(
    easel: Easel, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loras, "KEPT", 2)
    plain = easel.call(None)
    drawn = {seed: easel.draw(make(seed)) for seed in (11, 12, 13)}
    assert easel.draw(make(12)) == drawn[12]
    assert easel.lines("loaded before")
    assert easel.draw(make(11)) == drawn[11]
    assert easel.lines("Loading the LoRA style-11")
    assert easel.call(None) == plain


def test_files_are_kept_by_their_bytes_too(
    easel: Easel, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    easel.draw(make(21))
    monkeypatch.setattr(loras, "KEPT_BYTES", make(22).stat().st_size)
    easel.draw(make(22))
    easel.draw(make(21))
    assert easel.lines("Loading the LoRA style-21")


def test_what_one_job_needs_at_once_is_never_let_go(
    easel: Easel, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loras, "KEPT", 1)
    one, other = easel.draw(make(2)), easel.draw(make(3))
    assert easel.draw(make(2), make(3)) not in (one, other)


def test_one_that_matches_in_part_says_how_many_of_its_layers(easel: Easel, make: Make) -> None:
    partly = make(31, LAYER, "transformer.single_transformer_blocks.7.attn.to_q")
    assert easel.draw(partly) != easel.call(None)
    easel.draw(partly)
    assert easel.lines("LoRA style-31.safetensors: 1 of its 2 layers match.")


def test_one_that_matches_nothing_is_the_callers_fault(easel: Easel, make: Make) -> None:
    plain = easel.call(None)
    with pytest.raises(InvalidArguments) as caught:
        easel.draw(make(2), make(32, "unet.down_blocks.0.to_q"))
    assert caught.value.problems[0].field == "loras[1].path"
    assert "matches no layer of FluxPipeline" in caught.value.message
    assert easel.call(None) == plain


@pytest.mark.parametrize("path", ["/etc/passwd", "~/x.safetensors", "./x", "https://a.example/x"])
def test_a_call_reads_no_path_of_this_machine(easel: Easel, path: str) -> None:
    with pytest.raises(InvalidArguments, match=r"is no file that came with the call") as caught:
        easel.call([{"path": path}], allow_hub_loras=True)
    assert "media:// URI or a URL" in caught.value.hint


def test_a_call_names_a_repository_only_where_that_is_allowed(
    easel: Easel, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "models--acme--style"
    (kept / "refs").mkdir(parents=True)
    (kept / "refs" / "main").write_text("0123abc")
    (kept / "snapshots" / "0123abc").mkdir(parents=True)
    shutil.copy(make(2), kept / "snapshots" / "0123abc" / "ink.safetensors")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    given = [{"path": "acme/style"}]
    with pytest.raises(InvalidArguments, match="'acme/style' is no file that came with the call"):
        easel.call(given, local_files_only=True)
    allowed = easel.call(given, local_files_only=True, allow_hub_loras=True)
    assert allowed == easel.draw(make(2))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"short",
        b"\x80\x02}q\x00." + b"pickle" * 20,
        b"PK\x03\x04" + bytes(200),
        struct.pack("<Q", 2**60) + b"{}",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 17) + b'{"a": {"shape":1}',
        struct.pack("<Q", 5) + b"\xff\xfe\x00\x00\x00",
        struct.pack("<Q", 100_000) + b"[" * 100_000,
    ],
    ids=["empty", "short", "pickle", "zip", "huge", "list", "shape", "text", "deep"],
)
def test_what_is_no_safetensors_file_is_never_loaded(
    easel: Easel, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "style.safetensors"
    path.write_bytes(content)
    with pytest.raises(InvalidArguments, match="is no safetensors file") as caught:
        easel.draw(path)
    assert "pickles, which can hold code, are never read" in caught.value.hint
    with pytest.raises(NotConfigured, match="is no safetensors file"):
        easel.call(None, loras=[{"path": str(path)}])


def test_a_file_whose_tensors_are_not_there_is_told(easel: Easel, tmp_path: Path) -> None:
    head = f'{{"{LAYER}.lora_A.weight": {{"dtype":"F32","shape":[4,32],"data_offsets":[0,512]}}}}'
    path = tmp_path / "cut.safetensors"
    path.write_bytes(struct.pack("<Q", len(head)) + head.encode())
    with pytest.raises(InvalidArguments, match="cannot be loaded into FluxPipeline"):
        easel.draw(path)


def test_a_file_that_is_too_large_is_not_read(
    easel: Easel, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lorafiles, "LARGEST", 100)
    with pytest.raises(InvalidArguments, match="bytes; a LoRA may have 100"):
        easel.draw(make(2))


@pytest.mark.parametrize("scale", ["much", None, float("nan"), 1000])
def test_a_scale_is_a_number_within_reason(easel: Easel, make: Make, scale: Any) -> None:
    with pytest.raises(InvalidArguments, match=r"loras\[0\]: this is no {path, scale}"):
        easel.draw(make(2), scale=scale)


def test_too_many_at_once_are_refused(easel: Easel, make: Make) -> None:
    with pytest.raises(InvalidArguments, match="9 LoRAs are too many: 8 can be used at once"):
        easel.draw(*[make(2)] * 9)


def test_a_pipeline_that_takes_none_tells_the_caller(
    work_of: Callable[..., Work], told: Any, make: Make
) -> None:
    easel = Easel(work_of, Path("embedded:sketch"), told)
    easel._weights = "embedded:sketch"  # type: ignore[assignment]
    with pytest.raises(InvalidArguments, match="loras: PRXPixelPipeline takes no LoRAs"):
        easel.draw(make(2))


def test_fused_projections_and_loras_exclude_each_other(easel: Easel, make: Make) -> None:
    with pytest.raises(BadSettings, match="cannot be used with the speed setting fuse_qkv"):
        easel.draw(make(2), speed={"keys": {"fuse_qkv": True}})


@pytest.mark.timeout(300)
def test_on_compiled_weights_one_lora_takes_the_place_of_another(
    easel: Easel, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With torch's own tracing and no code generation, which takes a minute on a CPU."""
    import torch
    from diffusers import FluxTransformer2DModel

    def traced(self: Any) -> None:
        for module in self.modules():
            if type(module).__name__ in self._repeated_blocks:
                module.compile(backend="eager")

    monkeypatch.setattr(FluxTransformer2DModel, "compile_repeated_blocks", traced)
    monkeypatch.setattr(loras, "KEPT", 1)
    compiled = {"speed": {"keys": {"compile": True}}}
    files = (make(2), make(41, rank=8), make(3))
    plain = easel.call(None, **compiled)
    assert plain == easel.call(None)
    drawn = [easel.draw(file, **compiled) for file in files]
    assert drawn == [easel.draw(file) for file in files]
    with torch._dynamo.config.patch(error_on_recompile=True):
        assert [easel.draw(file, **compiled) for file in files] == drawn
    assert easel.call(None, **compiled) == plain
    torch.compiler.reset()
