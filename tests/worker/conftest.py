"""What the tests of the worker share: work for pipelines, and a tiny FLUX built from configs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from media_mcp.worker import protocol
from media_mcp.worker.device import Device
from media_mcp.worker.residency import Residency
from media_mcp.worker.work import Cancelled, Work

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: see worker/pipelines


@dataclass
class Told:
    """What a pipeline reported; it is cancelled once `stop_at` steps were."""

    steps: list[tuple[int, int]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    stop_at: int | None = None

    def step(self, done: int, total: int) -> None:
        self.steps.append((done, total))
        self.check()

    def check(self) -> None:
        if self.stop_at is not None and len(self.steps) >= self.stop_at:
            raise Cancelled


@pytest.fixture(scope="module")
def residency() -> Residency:
    return Residency(10**9, lambda: None)


@pytest.fixture
def work_of(tmp_path: Path, residency: Residency) -> Callable[..., Work]:
    """Make work for the diffusers pipeline; `told` records what it reports."""

    def make(
        spec: dict[str, Any],
        *,
        told: Told | None = None,
        seed: int = 7,
        held: Residency | None = None,
        inputs: dict[str, str] | None = None,
        arguments: dict[str, Any] | None = None,
        **call: Any,
    ) -> Work:
        told = told or Told()
        run = protocol.Run(
            job_id="job",
            attempt=1,
            model="tests/model",
            pipeline="diffusers",
            spec=spec,
            arguments=arguments or {},
            call=call,
            seed=seed,
            folder=str(tmp_path),
            roles=("images",),
            inputs=inputs or {},
        )
        device = Device("cpu", 2 * 10**9)
        return Work(run, device, held or residency, told.step, told.check, told.lines.append)

    return make


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture(scope="session")
def tiny_flux(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A FLUX pipeline of random weights (0.8 MB), saved as a real one is; no hub is asked."""
    import torch

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("flux")
    flux().save_pretrained(str(folder))
    yield folder


def flux() -> Any:
    import diffusers

    transformer = diffusers.FluxTransformer2DModel(
        patch_size=1,
        in_channels=64,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        axes_dims_rope=[4, 4, 8],
    )
    text_encoder, tokenizer = clip()
    text_encoder_2, tokenizer_2 = t5()
    return diffusers.FluxPipeline(
        transformer=transformer,
        vae=autoencoder(),
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        text_encoder_2=text_encoder_2,
        tokenizer_2=tokenizer_2,
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=1.0),
    )


def autoencoder() -> Any:
    import diffusers

    return diffusers.AutoencoderKL(
        sample_size=64,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8,) * 4,
        layers_per_block=1,
        latent_channels=16,
        norm_num_groups=4,
        mid_block_add_attention=False,
        use_quant_conv=False,
        use_post_quant_conv=False,
        shift_factor=0.1159,
        scaling_factor=0.3611,
    )


def clip() -> tuple[Any, Any]:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    signs = list(bytes_to_unicode().values())
    words = [*signs, *(f"{sign}</w>" for sign in signs), "<|startoftext|>", "<|endoftext|>"]
    config = CLIPTextConfig(
        bos_token_id=512,
        eos_token_id=513,
        pad_token_id=513,
        hidden_size=32,
        intermediate_size=32,
        num_attention_heads=2,
        num_hidden_layers=1,
        vocab_size=len(words),
    )
    vocabulary = {word: index for index, word in enumerate(words)}
    return CLIPTextModel(config), CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77)


def t5() -> tuple[Any, Any]:
    from transformers import T5Config, T5EncoderModel, T5Tokenizer

    letters = [(letter, -3.0) for letter in "abcdefghijklmnopqrstuvwxyz"]
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -2.0), *letters]
    config = T5Config(
        vocab_size=len(pieces), d_model=32, d_kv=8, d_ff=32, num_layers=1, num_heads=2
    )
    return T5EncoderModel(config), T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=64)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the folder of a class's tiny weights, built when first asked for."""
    under = tmp_path_factory.mktemp("tiny")

    def folder(name: str) -> Path:
        from tiny import speech

        place = under / name
        return place if place.exists() else speech.build(name, place)

    return folder


@pytest.fixture(scope="session")
def shared_residency() -> Residency:
    """Where the tiny models stay loaded, whatever the test."""
    return Residency(10**9, lambda: None)


@pytest.fixture
def place(tmp_path: Path, tiny: Callable[[str], Path], shared_residency: Residency) -> Any:
    """A folder in which jobs of the transformers pipeline run on tiny weights."""
    from speechkit import Place

    return Place(tmp_path, tiny, shared_residency)
