"""A LoRA and speed settings all the way: a tool call, a worker, a picture, and no trace after."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from media_mcp.server.app import open_app
from media_mcp.server.mcp import McpServer, surface_of
from media_mcp.settings import load_settings

CARD = """\
id: tests/flux
tool: tiny_flux
title: Tiny
task: text-to-image
licence: MIT
description: For tests.
inputs:
  prompt: {{type: string, required: true, description: What to draw.}}
  seed: {{type: integer, minimum: 0, maximum: 2147483647, description: The seed.}}
  steps: {{type: integer, default: 14, description: Steps.}}
  loras:
    type: array
    items:
      type: object
      properties:
        path: {{type: string, media: file, role: lora, required: true, description: The file.}}
        scale: {{type: number, default: 1, description: How strongly.}}
    description: LoRAs.
outputs:
  images: {{kind: image, mime_type: image/png, shape: files}}
routes:
  - backend: local
    price: {{amount: 0, unit: call, certainty: exact}}
    spec:
      pipeline: diffusers
      weights: {weights}
      threads: 1
      map: {{steps: num_inference_steps}}
      set: {{height: 64, width: 64, max_sequence_length: 48, guidance_scale: 0}}
      few_step: {{path: {lora}, scale: 0.5, set: {{num_inference_steps: 4}}}}
"""
PROMPT = {"prompt": "a", "seed": 7}
Call = Callable[..., Any]
Door = Callable[..., AbstractAsyncContextManager[Call]]


@pytest.fixture
def style(tmp_path: Path) -> Path:
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(5)
    layer = "transformer.single_transformer_blocks.0.attn.to_q"
    halves = {"lora_A": torch.randn(4, 32), "lora_B": torch.randn(32, 4)}
    path = tmp_path / "mine" / "ink.safetensors"
    path.parent.mkdir()
    save_file({f"{layer}.{name}.weight": 3 * half for name, half in halves.items()}, path)
    return path


@pytest.fixture
def door(tmp_path: Path, tiny_flux: Path, style: Path) -> Door:
    """Open a server whose one card is the tiny FLUX; yield what calls its tool."""
    cards = tmp_path / "cards"
    cards.mkdir()
    (cards / "tiny.yaml").write_text(CARD.format(weights=tiny_flux, lora=style))

    @asynccontextmanager
    async def opened(**given: Any) -> AsyncIterator[Call]:
        settings = load_settings(
            data_dir=tmp_path / "data", catalog_dirs=[cards], device="cpu", wait=110, **given
        )
        async with open_app(settings, [style.parent]) as app:
            server = McpServer(surface_of(app))
            async with server.running(app), Client(server.sdk) as client:

                async def call(**arguments: Any) -> Any:
                    asked = {"model": "tests/flux", "arguments": PROMPT | arguments, "fresh": True}
                    return (await client.call_tool("run_model", asked)).structured_content

                yield call

    return opened


def picture(facts: Any) -> str:
    assert facts["state"] == "succeeded", str(facts)
    return hashlib.sha256(Path(facts["assets"][0]["path"]).read_bytes()).hexdigest()


@pytest.mark.anyio
async def test_a_lora_changes_the_picture_of_its_call_and_leaves_no_trace(
    door: Door, style: Path, tmp_path: Path
) -> None:
    async with door() as call:
        plain = picture(await call())
        styled = picture(await call(loras=[{"path": str(style), "scale": 0.8}]))
        assert styled != plain
        assert picture(await call()) == plain
        assert picture(await call(loras=[{"path": str(style), "scale": 0.8}])) == styled
        shutil.copy(style, hidden := tmp_path / "hidden.safetensors")
        refused = await call(loras=[{"path": str(hidden)}])
        assert "loras[0].path" in refused["error"]["message"]
        repository = await call(loras=[{"path": "acme/style"}])
        assert "'acme/style' is no file that came with the call" in repository["error"]["message"]


@pytest.mark.anyio
async def test_an_answer_names_the_speed_settings_that_changed_it(door: Door) -> None:
    async with door(speed="exact", projects={"default": {"speed": "turbo"}}) as call:
        facts = await call()
        assert facts["state"] == "succeeded"
        assert facts["speed"] == ["few_step"]


@pytest.mark.anyio
async def test_a_setting_that_cannot_be_had_is_told(door: Door) -> None:
    async with door(speed={"cache": "sea"}) as call:
        facts = await call()
        assert facts["error"]["code"] == "bad_settings"
        assert "cache = sea cannot be had" in facts["error"]["message"]
