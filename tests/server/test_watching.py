"""Watching a server: figures, readiness, and a log that tells every transition and no secret."""

import json
import logging
import re
import sqlite3
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio.lowlevel
import httpx2
import pytest
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from media_mcp.backends.base import Readiness, Run
from media_mcp.catalog.model import Model
from media_mcp.job import JSON, Caller, Output, Quote, Result, Route
from media_mcp.server.app import App
from media_mcp.server.auth import Gate
from media_mcp.server.http import http_app
from media_mcp.server.keyring import KeyRing
from media_mcp.server.watching import metrics, transitions
from media_mcp.server.watching.stalls import Stalls
from storagekit import listening
from support import Opened

pytestmark = pytest.mark.anyio

SECRETS = ("the-prompt-of-ann", "the-key-of-the-server", "hidden-token", "/secret/folder")


@asynccontextmanager
async def served(opened: Opened, **given: Any) -> AsyncIterator[tuple[App, httpx2.AsyncClient]]:
    async with opened(**given) as (app, server):
        asgi = http_app(server, app, Gate.of(app.settings))
        async with listening(asgi) as url, httpx2.AsyncClient(base_url=url, timeout=30) as http:
            yield app, http


async def figures(http: httpx2.AsyncClient, **headers: str) -> dict[tuple[str, ...], float]:
    answer = await http.get("/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def run(app: App, http: httpx2.AsyncClient, endpoint: str, prompt: str = "x") -> str:
    job = (await http.post(f"/queue/{endpoint}", json={"prompt": prompt})).json()["request_id"]
    await app.queue.wait(job, Caller(), 20)
    return str(job)


async def test_figures_tell_what_ran_and_how_long_it_took(opened: Opened) -> None:
    async with served(opened) as (app, http):
        await figures(http)
        await run(app, http, "rehearsal/image")
        await run(app, http, "test/fails")
        told = await figures(http)
        of = ("rehearsal/image", "rehearsal")
        assert told["media_mcp_jobs_total", *of, "succeeded"] == 1
        assert told["media_mcp_jobs_total", "test/fails", "rehearsal", "failed"] == 1
        assert told["media_mcp_job_wait_seconds_count", *of] == 1
        assert told["media_mcp_job_run_seconds_count", *of] == 1
        assert told["media_mcp_job_run_seconds_sum", *of] >= 0


async def test_figures_tell_what_waits_and_runs_now(opened: Opened) -> None:
    async with served(opened) as (app, http):
        job = (await http.post("/queue/test/slow", json={"prompt": "x"})).json()["request_id"]
        told = await figures(http)
        depth = {key[1:]: n for key, n in told.items() if key[0] == "media_mcp_queue_depth"}
        assert sum(depth.values()) == 1
        await app.queue.cancel(job, Caller())
        told = await figures(http)
        assert not [key for key in told if key[0] == "media_mcp_queue_depth"]
        assert told["media_mcp_jobs_total", "test/slow", "rehearsal", "cancelled"] == 1
        assert told[("media_mcp_reserved_usd",)] == 0


async def test_figures_are_for_an_admin_where_keys_are_asked_for(opened: Opened) -> None:
    async with served(opened) as (app, http):
        ring = KeyRing(app.settings.data_dir)
        keys = {scope: ring.create(scope, scope)[1] for scope in ("run", "admin")}
        assert (await http.get("/metrics")).status_code == 401
        refused = await http.get("/metrics", headers={"Authorization": f"Key {keys['run']}"})
        assert refused.status_code == 403 and "scope admin" in refused.text
        assert await figures(http, Authorization=f"Key {keys['admin']}")


async def test_a_server_is_ready_as_long_as_its_store_can_be_read(opened: Opened) -> None:
    async with served(opened, api_key="a-key-of-sixteen") as (app, http):
        assert (await http.get("/healthz")).json()["status"] == "ok"
        assert (await http.get("/readyz")).json() == {"status": "ready"}
        with sqlite3.connect(app.settings.data_dir / "jobs.sqlite") as db:
            db.execute("ALTER TABLE ledger RENAME TO gone")
        db.close()
        unready = await http.get("/readyz")
        assert (unready.status_code, unready.json()["status"]) == (503, "unready")


async def test_every_transition_is_a_line_and_no_line_tells_a_secret(
    opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "media_mcp")
    async with served(opened, api_key="the-key-of-the-server") as (app, http):
        stop = transitions.follow(app.queue)
        http.headers["Authorization"] = "Key the-key-of-the-server"
        done = await run(app, http, "rehearsal/image", "the-prompt-of-ann")
        url = "http://user:hidden-token@127.0.0.1/secret/folder/a.png?token=hidden-token"
        bad = {"prompt": "the-prompt-of-ann", "image_url": url}
        await http.post("/queue/rehearsal/edit", json=bad)
        await http.get("/v1/models", headers={"Authorization": "Key hidden-token"})
        stop()
    lines = [record.args[0].told for record in caplog.records if record.name == "media_mcp.jobs"]
    states = [line["state"] for line in lines if line["job"] == done]
    assert states == ["queued", "running", "succeeded"]
    assert lines[2]["model"] == "rehearsal/image" and lines[2]["door"] == "queue"
    for secret in SECRETS:
        assert secret not in caplog.text


def test_a_line_is_json_where_that_is_wanted() -> None:
    told = {"job": "1m8p5z", "state": "queued", "cost_usd": 0.25}
    record = logging.makeLogRecord(
        {"name": "media_mcp.jobs", "levelname": "INFO", "msg": "%s"}
        | {"args": (transitions.Line(told),)}
    )
    assert json.loads(transitions.JsonFormatter().format(record)).items() >= told.items()
    assert str(transitions.Line(told)) == "job=1m8p5z state=queued cost_usd=0.25"


def test_other_lines_keep_their_words_and_their_traceback() -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        record = logging.getLogger("x").makeRecord(
            "x", logging.ERROR, "f", 1, "It %s", ("broke",), __import__("sys").exc_info()
        )
    told = json.loads(transitions.JsonFormatter().format(record))
    assert told["message"] == "It broke" and "ValueError: broken" in told["exception"]


async def test_figures_tell_how_late_the_event_loop_is_and_what_the_process_holds(
    opened: Opened,
) -> None:
    async with served(opened) as (_, http):
        await figures(http)
        time.sleep(0.3)  # noqa: ASYNC251 (that the loop stands still is what is measured)
        told = await figures(http)
        assert told["media_mcp_loop_stall_seconds_count",] >= 12
        assert told["media_mcp_loop_stall_seconds_sum",] >= 0.25
        assert told["process_open_fds",] > 0 and told["process_resident_memory_bytes",] > 0


async def test_a_stall_counts_for_every_turn_that_it_kept_from_coming() -> None:
    late: list[float] = []
    Stalls(late.append, period=0.05).start()
    time.sleep(0.5)  # noqa: ASYNC251
    while not late:
        await anyio.lowlevel.checkpoint()
    assert len(late) >= 9 and late[0] >= 0.4
    assert late[:9] == sorted(late[:9], reverse=True) and min(late) >= 0


class Paid:
    """A place that asks for money and says which pipelines it put out."""

    name = "paid"
    concurrency = 1
    remote = False

    async def readiness(self) -> Readiness:
        return Readiness(True)

    def quote(self, model: Model, route: Route, arguments: Mapping[str, JSON]) -> Quote:
        return Quote("paid", 2.5, 2.5)

    def warm(self) -> frozenset[str]:
        return frozenset({"test/dear"})

    async def run(self, run: Run) -> Result:
        path = run.folder / "out.png"
        Image.new("RGB", (64, 64), "red").save(path)
        return Result((Output(path, "images", "image/png"),), {"evicted": 2}, cost=2.5)

    async def aclose(self) -> None:
        pass


async def test_figures_tell_what_was_spent_what_is_warm_and_what_had_to_go(opened: Opened) -> None:
    async with served(opened, backends={"paid": Paid()}) as (app, http):
        await figures(http)
        await run(app, http, "test/dear")
        told = await figures(http)
    assert told["media_mcp_spent_usd", "paid"] == 2.5
    assert told["media_mcp_warm_models", "paid"] == 1
    assert told["media_mcp_evictions_total", "paid"] == 2
    assert told[("media_mcp_reserved_usd",)] == 0


async def test_figures_of_more_models_than_anybody_reads_are_counted_together(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "MOST_PAIRS", 1)
    async with served(opened) as (app, http):
        await figures(http)
        for model in ("rehearsal/image", "test/steps", "test/fails", "rehearsal/image"):
            await run(app, http, model)
        told = await figures(http)
    ended = {key[1:]: n for key, n in told.items() if key[0] == "media_mcp_jobs_total"}
    assert ended == {
        ("rehearsal/image", "rehearsal", "succeeded"): 2,
        ("other", "rehearsal", "succeeded"): 1,
        ("other", "rehearsal", "failed"): 1,
    }


async def test_the_operations_page_tells_of_every_figure_and_of_no_other(opened: Opened) -> None:
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    described = set(re.findall(r"^\| `(media_mcp_\w+)` \|", page, re.MULTILINE))
    async with served(opened, backends={"paid": Paid()}) as (app, http):
        await figures(http)
        await run(app, http, "test/dear")
        waiting = (await http.post("/queue/test/slow", json={"prompt": "x"})).json()["request_id"]
        told = {key[0] for key in await figures(http) if key[0].startswith("media_mcp")}
        await app.queue.cancel(waiting, Caller())
    ends = re.compile(r"_(bucket|count|sum|created)$")
    assert {ends.sub("", name) for name in told} - {
        "media_mcp_jobs",
        "media_mcp_evictions",
    } == described


@pytest.mark.parametrize("form", [transitions.TextFormatter, transitions.JsonFormatter])
def test_a_hostile_name_neither_forges_a_line_nor_steers_a_terminal(form: Any) -> None:
    name = "x\n2026-01-01 ERROR forged\x1b[2J\x9b31m\u2028\u202e\x00"
    told = transitions.Line({"model": name, "state": "queued"})
    for words, given in (("%s", told), ("It is %s", name)):
        record = logging.getLogger("x").makeRecord("x", logging.INFO, "f", 1, words, (given,), None)
        line = form().format(record)
        assert line.isprintable() and "forged" in line


def test_a_hostile_exception_keeps_to_its_lines() -> None:
    try:
        raise ValueError("x\n2026-01-01 ERROR forged\x1b[2J")
    except ValueError as error:
        caught = (ValueError, error, error.__traceback__)
    record = logging.getLogger("x").makeRecord("x", logging.ERROR, "f", 1, "It broke", (), caught)
    first, *rest = transitions.TextFormatter().format(record).splitlines()
    assert first.endswith("It broke") and "\x1b" not in "".join(rest)
    assert rest and all(line.startswith("  ") for line in rest)
