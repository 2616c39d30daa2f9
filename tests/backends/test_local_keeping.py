"""What a place's workers are told of memory: budgets, what stays loaded, and for how long."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from media_mcp.backends.base import Run
from media_mcp.backends.local import Local
from media_mcp.backends.local.configuration import Configuration
from media_mcp.backends.local.keeping import Keeping
from media_mcp.catalog.model import Model
from media_mcp.running import WORKER, Board
from media_mcp.settings import Settings
from media_mcp.tables import ProjectRules

pytestmark = pytest.mark.anyio

TELLTALE = """
import json, os, sys
def say(type, **fields):
    print(json.dumps({"type": type, **fields}), flush=True)
say("hello", protocol=3, pid=os.getpid(), python="3", packages={}, device="cpu", device_memory=9)
for line in sys.stdin:
    told = json.loads(line)
    if told["type"] == "shutdown":
        break
    held = {"models": [told["model"]], "size": 7, "place": "device"}
    held |= {"pinned": told["spec"].get("pin", False), "in_use": False}
    say("beat", rss=1, resident=[told["model"]], held=[held])
    facts = {key: told["spec"].get(key) for key in ("pin", "keep_alive")}
    facts |= {"argv": sys.argv, "load_only": told["load_only"], "load_seconds": 0.0}
    say("done", job_id=told["job_id"], facts=facts, outputs=[])
"""


@pytest.fixture
def local_of(
    scripted: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Local]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def make(idle_seconds: float = 900.0, **told: Any) -> Local:
        settings = Settings(data_dir=tmp_path / "data", **told)
        place = Configuration(
            name="local",
            device="cpu",
            worker_python=scripted(TELLTALE),
            idle_seconds=idle_seconds,
            memory_budget=settings.memory_budget,
            host_memory_budget=settings.host_memory_budget,
        )
        return Local(place, keeping=Keeping(settings))

    return make


async def facts_of(local: Local, run: Run) -> Any:
    try:
        return (await local.run(run)).facts
    finally:
        await local.aclose()


async def test_budgets_and_the_file_for_notes_come_on_the_command_line(
    local_of: Callable[..., Local], run_of: Callable[..., Run], tmp_path: Path
) -> None:
    local = local_of(memory_budget="12GB", host_memory_budget="0")
    argv = (await facts_of(local, run_of()))["argv"]
    assert argv[argv.index("--memory-budget") + 1] == "12000000000"
    assert argv[argv.index("--host-memory-budget") + 1] == "0"
    notes = argv[argv.index("--memory-notes") + 1]
    assert notes == str(tmp_path / "cache" / "media-mcp" / "memory-cpu.json")


@pytest.mark.parametrize(
    ("settings", "spec", "kept"),
    [
        ({}, {}, (False, 0.0)),
        ({"pin": ["tests/image"], "keep_alive": 30}, {}, (True, 30.0)),
        ({"pin": ["tests_image"]}, {}, (True, 0.0)),
        ({"pin": ["another"], "keep_alive": 30}, {"pin": True, "keep_alive": 5}, (True, 5)),
        (
            {"keep_alive": 30, "projects": {"films": ProjectRules(keep_alive=600)}},
            {},
            (False, 600.0),
        ),
    ],
)
async def test_what_stays_is_a_matter_of_card_project_and_settings(
    local_of: Callable[..., Local],
    run_of: Callable[..., Run],
    settings: dict[str, Any],
    spec: dict[str, Any],
    kept: tuple[bool, float],
) -> None:
    from dataclasses import replace

    run = replace(run_of(spec=spec), project="films")
    facts = await facts_of(local_of(**settings), run)
    assert (facts["pin"], facts["keep_alive"]) == kept


async def test_what_was_asked_for_by_warming_up_holds_for_the_runs_after_it(
    local_of: Callable[..., Local], run_of: Callable[..., Run], model_of: Callable[..., Model]
) -> None:
    local, model = local_of(keep_alive=30), model_of()
    loaded = await local.warm_up(run_of(model), pin=True)
    assert (loaded["load_only"], loaded["pin"], loaded["keep_alive"]) == (True, True, 30.0)
    facts = await facts_of(local, run_of(model))
    assert (facts["load_only"], facts["pin"]) == (False, True)


async def test_a_worker_that_holds_what_is_pinned_is_not_let_go(
    local_of: Callable[..., Local], run_of: Callable[..., Run]
) -> None:
    local = local_of(idle_seconds=0.01, pin=["tests/image"])
    await local.run(run_of())
    (seat,) = local._pool.seats
    assert seat.pinned and seat.letting_go is None and seat.pid is not None
    await local.aclose()
    local = local_of(idle_seconds=0.01)
    await local.run(run_of())
    (seat,) = local._pool.seats
    assert not seat.pinned and seat.letting_go is not None
    with anyio.fail_after(20):
        await seat.letting_go
    assert seat.pid is None


async def test_what_workers_hold_is_noticed_as_long_as_they_live(
    local_of: Callable[..., Local], run_of: Callable[..., Run], tmp_path: Path
) -> None:
    board, local = Board(tmp_path / "data"), local_of()
    await local.run(run_of())
    (told,) = board.read(WORKER)
    assert (told["device"], told["memory"]) == ("cpu", 9)
    assert [one["models"] for one in told["held"]] == [["tests/image"]]
    await local.aclose()
    assert board.read(WORKER) == []


async def test_what_a_run_took_is_known_after_a_restart(
    run_of: Callable[..., Run], sketch: dict[str, Any], tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    keeping = Keeping(Settings(data_dir=tmp_path / "data"))
    local = Local(Configuration(name="local", device="cpu"), keeping=keeping)
    try:
        for _ in range(2):  # the first one brings the weights in
            run = run_of(spec=sketch, prompt="a red circle", steps=1)
            await local.run(run)
    finally:
        await local.aclose()
    file = tmp_path / "cache" / "media-mcp" / "memory-cpu.json"
    (note,) = json.loads(file.read_text())["pipelines"].values()
    assert note["estimate"] > 10**7
    (peak,) = note["runs"].values()
    assert 0 < peak < 10**9
