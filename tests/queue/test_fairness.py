"""Callers take turns, whoever has how many jobs; a low priority waits long, but not for ever."""

import random
from collections import Counter

import pytest

from media_mcp.job import Caller, JobState
from media_mcp.queue.sqlite import SqliteStore
from media_mcp.queue.store import Ending, Instance, Wish
from media_mcp.queue.terms import Terms

pytestmark = pytest.mark.anyio

ANN, BOB, CAT = (Caller(name) for name in ("ann", "bob", "cat"))
DONE = Ending(JobState.SUCCEEDED)
RISE = 50.0


@pytest.fixture
def terms():
    return Terms(rise_seconds=RISE)


@pytest.fixture
async def store(shelf, terms):
    return await opened(shelf, terms)


async def opened(shelf, terms, name="one"):
    path = shelf.folder / "jobs.sqlite"
    store = SqliteStore(path, Instance(name, 1, "here", ""), clock=lambda: shelf.now, terms=terms)
    await store.open()
    shelf.opened.append(store)
    return store


async def add(shelf, store, caller, prompt="", **changes):
    return (await store.add(shelf.job(prompt, caller=caller, **changes), (), None)).job


async def taken(store, count, wish=None):
    """Take so many jobs one by one, as far as there are any; return them."""
    found = []
    for _ in range(count):
        found += await store.claim("local", wish or Wish())
    return [claim.job for claim in found]


def owners(jobs):
    return "".join(job.caller.owner[0] for job in jobs)


async def test_who_comes_with_one_job_is_next_though_another_has_hundreds(shelf, store):
    for _ in range(300):
        await add(shelf, store, ANN)
    await taken(store, 5)
    job = await add(shelf, store, BOB)
    assert await store.position(job.id) <= 1
    assert "b" in owners(await taken(store, 2))


async def test_two_who_wait_take_turns_and_a_third_joins_in(shelf, store):
    for caller in [ANN] * 6 + [BOB] * 3:
        await add(shelf, store, caller)
    assert owners(await taken(store, 3)) == "aba"
    for _ in range(2):
        await add(shelf, store, CAT)
    assert Counter(owners(await taken(store, 6))) == {"a": 2, "b": 2, "c": 2}
    assert owners(await taken(store, 9)) == "aa"


async def test_projects_of_one_owner_take_turns_as_well(shelf, store):
    for project in ["films"] * 4 + ["songs"] * 2:
        await add(shelf, store, Caller("local", project))
    jobs = await taken(store, 4)
    assert [job.caller.project for job in jobs] == ["films", "songs", "films", "songs"]


async def test_a_caller_of_weight_three_has_three_turns_for_one(shelf):
    store = await opened(shelf, Terms(weights={"ann": 3.0}))
    for caller in [ANN] * 12 + [BOB] * 12:
        await add(shelf, store, caller)
    assert Counter(owners(await taken(store, 12))) == {"a": 9, "b": 3}


async def test_who_asks_for_one_job_at_a_time_has_as_many_turns_as_who_queues_all(shelf, store):
    for _ in range(20):
        await add(shelf, store, ANN)
    seen = ""
    for _ in range(10):
        await add(shelf, store, BOB)
        seen += owners(await taken(store, 2))
    assert Counter(seen) == {"a": 10, "b": 10}


async def test_nobody_saves_up_turns_by_being_away_or_held_back(shelf):
    store = await opened(shelf, Terms(models={"capped": 1}))
    for caller, model in [(BOB, "capped"), *[(BOB, "capped")] * 6, *[(ANN, "free")] * 20]:
        await add(shelf, store, caller, model=model)
    (held, *_) = await store.claim("local", Wish())
    assert held.job.model == "capped"
    assert owners(await taken(store, 8)) == "a" * 8
    await add(shelf, store, CAT, model="free")
    await store.end(held, DONE)
    assert sorted(owners(await taken(store, 3))) == ["a", "b", "c"]


async def test_the_models_that_are_loaded_put_a_caller_ahead_by_four_turns_at_most(shelf, store):
    for caller, model in [*[(ANN, "warm")] * 20, *[(BOB, "cold")] * 20]:
        await add(shelf, store, caller, model=model)
    seen = owners(await taken(store, 12, Wish(warm=frozenset(["warm"]))))
    assert seen[:6] in ("aaaaab", "aaaaaa")
    assert 4 <= seen.count("b") <= 6


async def test_within_a_callers_own_jobs_what_is_loaded_goes_first_however_many(shelf, store):
    for n in range(30):
        await add(shelf, store, ANN, model="warm" if n >= 15 else "cold")
    jobs = await taken(store, 15, Wish(warm=frozenset(["warm"])))
    assert {job.model for job in jobs} == {"warm"}


async def test_a_job_of_another_that_is_overdue_goes_before_what_is_loaded(shelf, store):
    await add(shelf, store, BOB, model="cold")
    shelf.now += 60
    for _ in range(3):
        await add(shelf, store, ANN, model="warm")
    wish = Wish(warm=frozenset(["warm"]), overdue=shelf.now - 45)
    assert owners(await taken(store, 2, wish)) == "ba"


async def test_a_low_priority_waits_for_the_higher_ones_until_it_rises(shelf, store):
    low = await add(shelf, store, ANN, "low", priority=-1)
    for _ in range(5):
        await add(shelf, store, ANN)
    assert await store.position(low.id) == 5
    assert low.id not in [job.id for job in await taken(store, 2)]
    shelf.now += RISE
    for _ in range(5):
        await add(shelf, store, ANN)
    (job,) = await taken(store, 1)
    assert (job.id, job.priority) == (low.id, -1)


async def test_what_rises_takes_no_turns_from_other_callers(shelf, store):
    for _ in range(20):
        await add(shelf, store, ANN, priority=-1)
    shelf.now += RISE
    for caller in [ANN] * 4 + [BOB] * 10:
        await add(shelf, store, caller)
    assert Counter(owners(await taken(store, 20))) == {"a": 10, "b": 10}


async def test_a_job_that_is_tried_again_waits_in_its_callers_line(shelf, store):
    await add(shelf, store, ANN, "first")
    (claim,) = await store.claim("local", Wish())
    for caller in (ANN, BOB, BOB):
        await add(shelf, store, caller)
    await store.retry(claim, "it broke", ())
    assert await store.position(claim.job.id) <= 1
    assert "first" in [job.arguments["prompt"] for job in await taken(store, 2)]


async def test_lines_of_those_who_left_are_forgotten(shelf, store):
    for n in range(40):
        job = await add(shelf, store, Caller(f"c{n}"))
        if n % 2:
            await store.cancel(job.id, f"c{n}", "no")
    for _ in range(3):
        await add(shelf, store, ANN)
    await taken(store, 25)
    (left,) = store._pen.db.execute("SELECT count(*) FROM turns").fetchone()
    assert left <= 1


class Stream:
    """Random arrivals at a backend with one slot, a second a job, on a clock of its own."""

    def __init__(self, shelf, store, terms, seed):
        self.shelf, self.store, self.terms = shelf, store, terms
        self.random = random.Random(seed)
        self.callers = [Caller(name) for name in "abcd"[: self.random.randint(2, 4)]]
        self.load = self.random.uniform(0.8, 2.0)
        self.waiting = {}
        self.came = {}

    async def arrive(self):
        for _ in range(int(self.load + self.random.random())):
            greedy = self.random.random() < 0.5
            caller = self.callers[0] if greedy else self.random.choice(self.callers)
            priority = -1 if self.random.random() < 0.2 else 0
            job = await add(self.shelf, self.store, caller, priority=priority)
            self.waiting[job.id] = job
            self.came[job.id] = len(self.came)

    async def serve(self):
        """Take the next job; return it and those that waited beside it."""
        claims = await self.store.claim("local", Wish())
        for claim in claims:
            await self.store.end(claim, DONE)
            return self.waiting.pop(claim.job.id), list(self.waiting.values())
        return None, []

    def risen(self, job):
        return self.shelf.now - job.created_at >= self.terms.rise_seconds

    def passed(self, job, others):
        """Return those of the same caller that have risen, and came before a job that is taken."""
        mine = [other for other in others if other.caller == job.caller and self.risen(other)]
        return [other.id for other in mine if self.came[other.id] < self.came[job.id]]


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_comes_shares_are_fair_and_nobody_starves(shelf, store, terms, seed):
    stream = Stream(shelf, store, terms, seed)
    lead = Counter()  # turns of each caller since when the others of them were last all waiting
    for _ in range(110):
        await stream.arrive()
        job, others = await stream.serve()
        if job is not None:
            counts_as_high = job.priority == 0 or stream.risen(job)
            assert counts_as_high or all(o.priority < 0 for o in others)
            high = {o.caller for o in others if o.priority == 0 or stream.risen(o)}
            for caller in stream.callers:
                if caller not in high or caller == job.caller:
                    lead[caller] = 0
                elif counts_as_high:
                    lead[caller] += 1
            assert max(lead.values()) <= 2 * len(stream.callers)
            assert not stream.passed(job, others)
        shelf.now += 1


@pytest.mark.parametrize("seed", range(8))
async def test_positions_are_the_order_in_which_jobs_are_taken(shelf, seed):
    rolls = random.Random(seed)
    terms = Terms(weights={"ann": 2.5, "bob": 0.3})
    store = await opened(shelf, terms)
    waiting = {}
    for _ in range(60):
        roll = rolls.random()
        if roll < 0.7 or not waiting:
            caller = rolls.choice([ANN, ANN, ANN, BOB, CAT])
            changes = {"model": rolls.choice("xy"), "priority": rolls.choice([0, 0, 0, -1])}
            added = await store.add(shelf.job(caller=caller, **changes), (), None)
            waiting[added.job.id] = added.job
            assert added.ahead == await store.position(added.job.id)
        elif roll < 0.9:
            for job in await taken(store, 1):
                del waiting[job.id]
        else:
            job = waiting.pop(rolls.choice(list(waiting)))
            await store.cancel(job.id, job.caller.owner, "no")
    places = {job_id: await store.position(job_id) for job_id in waiting}
    assert sorted(places.values()) == list(range(len(waiting)))
    order = [job.id for job in await taken(store, len(waiting))]
    assert order == sorted(places, key=places.__getitem__)


async def test_no_look_at_a_long_queue_reads_all_of_it(shelf, store):
    """SQLite itself tells how it finds the rows of each query that a claim makes."""
    for caller in (ANN, BOB):
        await add(shelf, store, caller)
    asked = []
    store._pen.db.set_trace_callback(asked.append)
    await taken(store, 1)
    store._pen.db.set_trace_callback(None)
    looks = [text for text in asked if "FROM jobs" in text and "json" not in text]
    assert looks
    for text in looks:
        for row in store._pen.db.execute(f"EXPLAIN QUERY PLAN {text}"):
            assert not row[3].startswith("SCAN jobs"), text


async def test_a_job_that_no_budget_bounds_reads_nothing_of_what_others_set_aside(shelf, store):
    asked = []
    store._pen.db.set_trace_callback(asked.append)
    await add(shelf, store, ANN)
    store._pen.db.set_trace_callback(None)
    assert any("INSERT INTO jobs" in text for text in asked)
    assert not [text for text in asked if "reserved > 0" in text]
