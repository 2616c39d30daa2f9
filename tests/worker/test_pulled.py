"""What a pull has brought is all that a pipeline loads, without a hub."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from hubplace import Repo, open_hub
from media_mcp.backends.local.pulling import Puller
from media_mcp.backends.local.wants import wants_of
from media_mcp.settings import Settings
from media_mcp.worker.files import ADAPTER, MODEL, PIPELINE, needed

REPO = "acme/flux"


@pytest.mark.parametrize("modular", [False, True])
def test_a_pulled_pipeline_loads_offline(
    tiny_flux: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, modular: bool
) -> None:
    from diffusers import DiffusionPipeline
    from huggingface_hub import snapshot_download

    monkeypatch.setenv("HF_HOME", str(tmp_path))
    spec = {"pipeline": "diffusers", "weights": REPO}
    spec |= {"class": "ModularPipeline"} if modular else {}
    files = [path for path in tiny_flux.rglob("*") if path.is_file()]
    content = {str(path.relative_to(tiny_flux)): path.read_bytes() for path in files}
    with open_hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        hub.repos[REPO] = Repo(content | {"flux.safetensors": b"x", "README.md": b"x"})
        puller = Puller("local", Settings())
        (here,) = anyio.run(puller.fetched, wants_of(spec), lambda told: None)
    assert not here.wrong

    cache = str(tmp_path / "hub")
    if modular:
        patterns = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]
        found = snapshot_download(
            REPO, cache_dir=cache, allow_patterns=patterns, local_files_only=True
        )
    else:
        found = DiffusionPipeline.download(
            REPO, cache_dir=cache, use_safetensors=True, local_files_only=True
        )
    assert Path(found) == Path(here.folder)
    assert type(DiffusionPipeline.from_pretrained(found)).__name__ == "FluxPipeline"


PATHS = [
    "README.md",
    "config.json",
    "model.bin",
    "model.fp16.safetensors",
    "model.safetensors",
    "vae/diffusion_pytorch_model.fp16.safetensors",
    "vae/diffusion_pytorch_model.safetensors",
    "text_encoders/t5.safetensors",
    "tokenizer/spiece.model",
]


@pytest.mark.parametrize(
    ("layout", "variant", "found"),
    [
        (PIPELINE, "", {"config.json", "model.safetensors", PATHS[6], PATHS[8]}),
        (PIPELINE, "fp16", {"config.json", "model.fp16.safetensors", PATHS[5], PATHS[8]}),
        (MODEL, "", {"config.json", *PATHS[3:]}),
        (ADAPTER, "", set(PATHS[3:8])),
    ],
)
def test_of_a_repository_only_what_is_read_is_needed(
    layout: str, variant: str, found: set[str]
) -> None:
    index = {"vae": ["diffusers", "AutoencoderKL"], "tokenizer": ["transformers", "T5Tokenizer"]}
    assert set(needed(PATHS, layout, variant, index)) == found
