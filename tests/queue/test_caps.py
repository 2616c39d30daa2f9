"""How many jobs of a model, or on a backend, run at once: over every server on the data folder."""

import anyio
import pytest

from media_mcp.catalog.catalog import Catalog
from media_mcp.errors import BadSettings
from media_mcp.job import JobState
from media_mcp.queue.store import Wish
from media_mcp.queue.terms import terms_of
from media_mcp.settings import FILE_NAME, Settings, load_settings

pytestmark = pytest.mark.anyio


def gated(house, **facts):
    """Return a backend whose jobs run until the gate of their prompt opens."""
    backend = house.backend(**facts)
    backend.gates = {}

    async def script(run):
        await backend.gates.setdefault(run.arguments["prompt"], anyio.Event()).wait()

    backend.script = script
    return backend


def let(backend, prompt):
    backend.gates.setdefault(prompt, anyio.Event()).set()


async def begun(backend, count):
    return {(await backend.started()).arguments["prompt"] for _ in range(count)}


async def test_a_capped_model_holds_back_its_own_jobs_and_nothing_behind_them(house, tools, ann):
    backend = gated(house, concurrency=4)
    async with house.queue(backend, models={"m0": {"at_once": 1}}) as queue:
        jobs = [
            await queue.submit(tools.call(prompt, of=tools.model(of)))
            for prompt, of in [("a", "m0"), ("b", "m0"), ("c", "m1"), ("d", "m0"), ("e", "m1")]
        ]
        assert await begun(backend, 3) == {"a", "c", "e"}
        assert (await queue.get(jobs[1].job.id, ann)).state is JobState.QUEUED
        let(backend, "a")
        assert await begun(backend, 1) == {"b"}
        assert (await queue.get(jobs[3].job.id, ann)).state is JobState.QUEUED
        for prompt in "bcde":
            let(backend, prompt)
        for submitted in jobs:
            assert (await queue.wait(submitted.job.id, ann, 10)).state is JobState.SUCCEEDED


async def test_a_capped_backend_runs_no_more_than_that_though_it_has_slots(house, tools, ann):
    backend = gated(house, concurrency=4)
    async with house.queue(backend, backends={"local": {"at_once": 2}}) as queue:
        jobs = [await queue.submit(tools.call(prompt)) for prompt in "abc"]
        assert await begun(backend, 2) == {"a", "b"}
        assert (await queue.get(jobs[2].job.id, ann)).state is JobState.QUEUED
        await queue.cancel(jobs[0].job.id, ann)
        assert await begun(backend, 1) == {"c"}


async def test_a_cap_counts_what_other_servers_run_and_frees_what_waits_there(house, tools, ann):
    """The second server runs nothing and nobody waits there: it must look for itself."""
    here, there = gated(house), gated(house, name="other")
    rules = {"m0": {"at_once": 1}}
    async with house.queue(here, models=rules) as one, house.queue(there, models=rules) as two:
        first = await one.submit(tools.call("a", of=tools.model("m0")))
        assert await begun(here, 1) == {"a"}
        second = await two.submit(tools.call("b", of=tools.model("m0", "other")))
        assert (await two.get(second.job.id, ann)).state is JobState.QUEUED
        let(here, "a")
        assert await begun(there, 1) == {"b"}
        let(there, "b")
        assert (await one.wait(first.job.id, ann, 10)).state is JobState.SUCCEEDED
        assert (await two.wait(second.job.id, ann, 10)).state is JobState.SUCCEEDED


async def test_what_goes_as_one_batch_keeps_to_the_cap_as_well(house, tools, ann):
    backend = gated(house)
    backend.batch = lambda model, route, arguments: 4
    async with house.queue(backend, models={"poem": {"at_once": 2}}) as queue:
        await queue.submit(tools.call("holds the slot", of=tools.model("song")))
        await begun(backend, 1)
        for n, prompt in enumerate("abcd"):
            await queue.submit(tools.call(prompt, seed=n))
        let(backend, "holds the slot")
        assert await begun(backend, 2) == {"a", "b"}


async def test_without_caps_nobody_counts_what_runs(shelf):
    store = await shelf.open()
    await store.add(shelf.job(), (), None)
    asked = []
    store._pen.db.set_trace_callback(asked.append)
    await store.claim("local", Wish())
    assert not any("state = 'running' GROUP BY" in text for text in asked)


def test_caps_are_for_models_and_backends_that_there_are():
    model_of = Catalog.load().get
    for rules, words in [
        ({"models": {"skech": {"at_once": 1}}}, "Setting models.skech: .*sketch"),
        ({"backends": {"fall": {"at_once": 1}}}, "Setting backends.fall: .* Did you mean fal"),
    ]:
        with pytest.raises(BadSettings, match=words):
            terms_of(Settings(**rules), model_of, ())
    told = terms_of(Settings(models={"sketch": {"at_once": 2}}), model_of, ())
    assert told.models == {"sketch": 2}
    assert terms_of(Settings(backends={"mine": {"at_once": 3}}), model_of, {"mine"}).capped


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[backends.fal]\nat_onec = 2", "Did you mean at_once"),
        ("[models.sketch]\natonce = 2", "Did you mean at_once"),
        ("[callers.ann]\nwieght = 2", "Did you mean weight"),
        ("max_queue = 2", "Did you mean max_queued"),
    ],
)
def test_a_misspelt_setting_is_told_with_the_nearest(tmp_path, monkeypatch, text, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / FILE_NAME).write_text(text)
    with pytest.raises(BadSettings) as caught:
        load_settings()
    assert words in caught.value.hint


def test_a_working_folder_only_lowers_caps_and_gives_nobody_more_turns(tmp_path, monkeypatch):
    own, folder = tmp_path / "own.toml", tmp_path / FILE_NAME
    monkeypatch.setitem(Settings.model_config, "toml_file", [own, folder])
    own.write_text("[models.a]\nat_once = 2\n[backends.fal]\nat_once = 8\nmax_queued = 5\n")
    folder.write_text(
        "max_queued = 1000000\nrise_seconds = 1e9\n[models.a]\nat_once = 9\n[models.b]\n"
        "at_once = 1\n[backends.fal]\nat_once = 1\nmax_queued = 900\n[callers.eve]\nweight = 100\n"
    )
    told = load_settings()
    assert {name: rules.at_once for name, rules in told.models.items()} == {"a": 2, "b": 1}
    assert (told.backends["fal"].at_once, told.backends["fal"].max_queued) == (1, 5)
    assert (told.max_queued, told.rise_seconds) == (10_000, 600.0)
    assert told.callers["eve"].weight == 1
