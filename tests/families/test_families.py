"""Every family's own card, on a tiny pipeline of its class, through the MCP door to an asset."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import av
import pytest

from media_mcp.catalog.catalog import Catalog
from media_mcp.catalog.head import Head
from media_mcp.job import Caller, JobState
from tiny.families import CASES, CLIPS, LEFT_OUT, PICTURES, SOUNDS, Case

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]
BY_MODEL = {case.model: case for case in CASES}


def arguments_of(case: Case, media: Callable[[Any], Any], **more: Any) -> dict[str, Any]:
    given = {"prompt": "a red cube.", "seed": 7} | case.call | more
    return {name: media(value) for name, value in given.items() if value is not None}


class Steps:
    """What a client was told of the steps; `reached` is set at the first."""

    def __init__(self) -> None:
        self.told: list[tuple[float, float | None]] = []
        self.reached = anyio.Event()

    async def __call__(self, step: float, total: float | None, message: str | None) -> None:
        if total:
            self.told.append((step, total))
            self.reached.set()


def test_every_local_card_of_diffusers_is_run_here_or_says_why_not() -> None:
    catalog = Catalog.load()
    local = {head.id for head in catalog.heads if _runs_diffusers(catalog, head)}
    assert not BY_MODEL.keys() & LEFT_OUT.keys()
    assert local - {"sketch"} == BY_MODEL.keys() | LEFT_OUT.keys()


def _runs_diffusers(catalog: Catalog, head: Head) -> bool:
    if "local" not in head.backends:
        return False
    specs = (one.spec for one in catalog.get(head.id).routes if one.backend == "local")
    return any(spec.get("pipeline") == "diffusers" for spec in specs)


@pytest.mark.parametrize("case", PICTURES, ids=lambda case: case.model)
async def test_a_card_makes_a_picture_of_the_size_asked_for(
    door: Any, media: Callable[[Any], Any], case: Case
) -> None:
    steps = Steps()
    facts = await door.call(case.model, arguments_of(case, media), steps)

    assert facts["state"] == "succeeded", facts.get("error")
    (asset,) = facts["assets"]
    assert (asset["width"], asset["height"]) == case.size
    assert asset["mime_type"] in ("image/png", "image/jpeg")
    assert {total for _, total in steps.told} == {case.steps}


@pytest.mark.parametrize("case", CLIPS, ids=lambda case: case.model)
async def test_a_card_makes_a_clip_of_the_size_and_length_asked_for(
    door: Any, media: Callable[[Any], Any], case: Case
) -> None:
    steps = Steps()
    facts = await door.call(case.model, arguments_of(case, media), steps)

    assert facts["state"] == "succeeded", facts.get("error")
    (asset,) = facts["assets"]
    assert (asset["width"], asset["height"], asset["mime_type"]) == (*case.size, "video/mp4")
    assert asset["duration"] == pytest.approx(case.seconds, abs=0.06)
    with av.open(asset["path"]) as opened:
        assert bool(opened.streams.audio) == case.sound
    assert {total for _, total in steps.told} == {case.steps}


@pytest.mark.parametrize("case", SOUNDS, ids=lambda case: case.model)
async def test_a_card_makes_sound_of_the_length_asked_for(
    door: Any, media: Callable[[Any], Any], case: Case
) -> None:
    steps = Steps()
    facts = await door.call(case.model, arguments_of(case, media), steps)

    assert facts["state"] == "succeeded", facts.get("error")
    (asset,) = facts["assets"]
    assert asset["mime_type"] == "audio/wav"
    assert asset["duration"] == pytest.approx(case.seconds, abs=0.06)
    assert {total for _, total in steps.told} == {case.steps}


SAMPLES = [
    "fal-ai/flux/dev",
    "local/flux-2-klein-4b-edit",
    "local/wan-2.1-vace-1.3b",
    "local/ltx-2",  # with sound
    "fal-ai/hunyuan-video-v1.5/image-to-video",  # of a width that x264 is tried by
    "local/stable-audio-open",  # a class without a callback
]
STOPPED = [
    "fal-ai/flux/dev",
    "local/wan-2.1-vace-1.3b",
    "fal-ai/hunyuan-video-v1.5/image-to-video",  # one more without a callback
    "local/stable-audio-open",
]


@pytest.mark.parametrize("model", SAMPLES)
async def test_the_same_seed_gives_the_same_bytes_and_another_gives_others(
    door: Any, media: Callable[[Any], Any], model: str
) -> None:
    made = []
    for seed in (7, 7, 8):
        arguments = arguments_of(BY_MODEL[model], media, seed=seed)
        facts = await door.call(model, arguments, fresh=True)
        assert facts["state"] == "succeeded", facts
        made.append(facts["assets"][0]["uri"])
    assert made[0] == made[1] != made[2]


@pytest.mark.parametrize("model", STOPPED)
async def test_a_cancelled_job_stops_in_its_steps_and_the_next_is_right(
    door: Any, media: Callable[[Any], Any], model: str
) -> None:
    case = BY_MODEL[model]
    before = await door.call(model, arguments_of(case, media))
    endless = arguments_of(case, media, num_inference_steps=50)
    job_id = await _cancelled_in_mid_run(door, model, endless)

    job = await door.app.queue.get(job_id, Caller())
    assert job.state is JobState.CANCELLED
    assert not job.assets
    assert job.step is not None and job.step < (job.total or 0)
    again = await door.call(model, arguments_of(case, media), fresh=True)
    assert again["state"] == "succeeded"
    assert again["assets"][0]["uri"] == before["assets"][0]["uri"]


async def _cancelled_in_mid_run(door: Any, model: str, arguments: dict[str, Any]) -> str:
    steps = Steps()

    async def run() -> None:
        told = await door.begin(model, arguments, steps, fresh=True)
        assert steps.told, told.structured_content

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await steps.reached.wait()
        (job,) = [one for one in await door.app.queue.jobs(Caller()) if not one.state.terminal]
        await door.client.call_tool("cancel_job", {"job_id": job.id})
    return job.id


async def test_text_and_picture_to_picture_share_one_load(
    door: Any, media: Callable[[Any], Any]
) -> None:
    loads = []
    for model in ("fal-ai/flux/dev", "fal-ai/flux/dev/image-to-image", "fal-ai/flux/dev"):
        facts = await door.call(model, arguments_of(BY_MODEL[model], media), fresh=True)
        job = await door.app.queue.get(facts["job_id"], Caller())
        loads.append(job.facts["load_seconds"])
    assert loads[1:] == [0, 0]


async def test_a_class_that_draws_another_size_says_so(
    door: Any, media: Callable[[Any], Any]
) -> None:
    case = BY_MODEL["fal-ai/hidream-i1-full"]
    facts = await door.call(case.model, arguments_of(case, media))
    assert facts["changed"] == ["size 1168x880 instead of 256x192"]
