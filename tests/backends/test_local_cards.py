"""A user's card on a local model is run as it is described: its words, its numbers, its LoRAs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from media_mcp.backends.base import Run
from media_mcp.backends.local.wire import to_wire
from media_mcp.catalog.model import Model, Param
from media_mcp.errors import BadCard

CARD = """\
id: me/yellow
extends: sketch
tool: yellow
title: On yellow
description: Draws small things on yellow.
prompt: "{prompt} on a yellow background"
fixed: {size: 64}
"""
CLI = [sys.executable, "-c", "import sys; from media_mcp.cli import main; sys.exit(main())"]


@pytest.fixture
def model(model_of: Callable[..., Model]) -> Model:
    inputs = (
        Param("prompt", "string", required=True),
        Param("image_urls", "array", items=Param("", "string", media="image")),
        Param("image_size", "string", form="size"),
        Param("steps", "integer"),
        Param("side", "integer"),
    )
    return model_of(inputs=inputs)


def test_a_call_is_written_in_the_words_of_the_pipeline(
    run_of: Callable[..., Run], model: Model
) -> None:
    spec: dict[str, Any] = {
        "map": {
            "steps": "num_inference_steps",
            "image_size": {"to": ["width", "height"]},
            "image_urls": "image",
        },
        "set": {"guidance_scale": 0},
        "template": "ink, {prompt}",
        "fixed": {"steps": 4, "num_images": 2, "side": 64},
        "enlarge": "side",
    }
    uris = ["media://a.png"]
    run = run_of(model, spec, prompt="a cat", image_size="square", image_urls=uris, side=None)
    sent = to_wire(run)

    assert sent.call == {
        "prompt": "ink, a cat",
        "width": 512,
        "height": 512,
        "image": uris,
        "num_inference_steps": 4,
        "guidance_scale": 0,
    }
    assert (sent.arguments["num_images"], sent.arguments["side"]) == (2, 64)
    assert sent.arguments["prompt"] == "a cat"
    assert sent.seed == 7


def test_a_seed_that_a_card_has_fixed_is_the_one_drawn_with(
    run_of: Callable[..., Run], model: Model
) -> None:
    assert to_wire(run_of(model, {"fixed": {"seed": 0}}, prompt="x")).seed == 0
    assert "seed" not in to_wire(run_of(model, {"fixed": {"seed": 0}}, prompt="x")).call


@pytest.mark.parametrize("spec", [{"map": "x"}, {"fixed": [1]}, {"map": {"steps": {"to": 3}}}])
def test_a_spec_that_cannot_be_done_is_the_cards_fault(
    run_of: Callable[..., Run], model: Model, spec: dict[str, Any]
) -> None:
    with pytest.raises(BadCard, match="tests/image"):
        to_wire(run_of(model, spec, prompt="x"))


@pytest.fixture
def draw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Run a model by the command line with a worker of its own; return the job's facts."""
    cards = tmp_path / "cards"
    cards.mkdir()
    (cards / "yellow.yaml").write_text(CARD)
    monkeypatch.setenv("MEDIA_MCP_CATALOG_DIRS", json.dumps([str(cards)]))
    monkeypatch.setenv("MEDIA_MCP_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def drawn(*words: str, code: int = 0) -> dict[str, Any]:
        command = [*CLI, "run", *words, "seed=7", "steps=4"]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
        assert ended.returncode == code, ended.stderr
        facts: dict[str, Any] = json.loads(ended.stdout)
        return facts

    return drawn


@pytest.mark.timeout(300)
def test_a_users_card_draws_with_its_template_and_what_it_fixes(
    draw: Callable[..., dict[str, Any]],
) -> None:
    mine = draw("me/yellow", "prompt=a red circle")
    full = draw("sketch", "prompt=a red circle on a yellow background", "size=64")
    bare = draw("sketch", "prompt=a red circle", "size=64")

    pictures = [Path(job["assets"][0]["path"]).read_bytes() for job in (mine, full, bare)]
    assert pictures[0] == pictures[1] != pictures[2]
    with Image.open(mine["assets"][0]["path"]) as picture:
        assert picture.size == (64, 64)


@pytest.mark.timeout(300)
def test_a_users_lora_that_cannot_be_used_fails_with_words(
    draw: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    style = tmp_path / "cards" / "ink.safetensors"
    shutil.copy(sys.executable, style)
    (tmp_path / "cards" / "ink.yaml").write_text(
        CARD.replace("yellow\n", "ink\n") + "loras: [{path: ./ink.safetensors}]\n"
    )
    error = draw("me/ink", "prompt=a red circle", code=1)["error"]
    assert error["code"] == "bad_card"
    assert error["message"] == "loras: PRXPixelPipeline takes no LoRAs."
