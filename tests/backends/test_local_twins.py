"""A model that is too large for this machine: the refusal names a smaller one that would do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from media_mcp.backends.base import Run
from media_mcp.backends.local import Local
from media_mcp.backends.local.configuration import Configuration
from media_mcp.backends.local.keeping import Keeping
from media_mcp.backends.local.twins import smaller_twin
from media_mcp.catalog.catalog import Catalog
from media_mcp.errors import OutOfMemory
from media_mcp.settings import Settings

FULL = """
import json, os, sys
def say(type, **fields):
    print(json.dumps({"type": type, **fields}), flush=True)
say("hello", protocol=3, pid=os.getpid(), python="3", packages={}, device="cpu", device_memory=9)
for line in sys.stdin:
    told = json.loads(line)
    if told["type"] == "shutdown":
        break
    say("failed", job_id=told["job_id"], code="out_of_memory",
        message="It needs 80 GB.", hint="Use less.")
"""


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog.load([])


@pytest.mark.parametrize(
    ("name", "twin"),
    [
        ("local/wan-2.2-t2v-a14b", ("local/wan-2.2-ti2v-5b", 24)),  # of the family
        ("fal-ai/hunyuan-video", ("local/wan-2.2-ti2v-5b", 24)),  # an alternative of the card
        ("local/flux-kontext-dev", ("fal-ai/flux-2/klein/4b/edit", 20)),  # kin
        ("local/kokoro", None),
    ],
)
def test_a_smaller_model_for_the_same_task_is_found(
    catalog: Catalog, name: str, twin: tuple[str, float] | None
) -> None:
    model = catalog.get(name)
    (needs,) = [r.spec["memory_gb"] for r in model.routes if "memory_gb" in r.spec]
    found = smaller_twin(model, needs, catalog)
    assert (found and (found[0].id, found[1])) == twin


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        (
            {"memory_gb": 80},
            "Use less. local/wan-2.2-ti2v-5b does the same and needs about 24 GB.",
        ),
        ({}, "Use less."),
    ],
)
async def test_the_refusal_names_it(
    catalog: Catalog,
    scripted: Callable[..., str],
    run_of: Callable[..., Run],
    tmp_path: Path,
    spec: dict[str, Any],
    hint: str,
) -> None:
    keeping = Keeping(Settings(data_dir=tmp_path / "data", catalog_dirs=[]))
    place = Configuration(name="local", device="cpu", worker_python=scripted(FULL))
    local = Local(place, keeping=keeping)
    run = run_of(catalog.get("local/wan-2.2-t2v-a14b"), spec, prompt="waves")
    try:
        with pytest.raises(OutOfMemory) as caught:
            await local.run(run)
    finally:
        await local.aclose()
    assert (caught.value.message, caught.value.hint) == ("It needs 80 GB.", hint)
