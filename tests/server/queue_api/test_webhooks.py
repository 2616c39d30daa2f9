"""Webhooks: what is told, signed how, when again, and to whom never."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import anyio
import pytest
from cryptography.exceptions import InvalidSignature
from starlette.types import Receive, Scope, Send

from media_mcp.errors import ContentRefused, OutOfMemory, StorageFailed
from media_mcp.job import Caller, Failure, Job, JobState, Webhook
from media_mcp.queue import Delivery, Submission, Told, outbox
from media_mcp.server.app import App
from media_mcp.server.queue_api import webhooks
from media_mcp.server.queue_api.keys import ServerKey
from media_mcp.server.queue_api.results import Results
from media_mcp.server.queue_api.webhooks import SCHEDULE, Try, Webhooks
from storagekit import LINKS, MODEL, Served, Writer, checked, lifespan, listening, rooms, serving

pytestmark = pytest.mark.anyio

QUICK = (Try(0, 5), Try(0.01, 5), Try(0.02, 5))
ME = Caller("ann")


@dataclass
class Receiver:
    """Takes webhooks and answers with the next of `statuses`; 0 never answers."""

    statuses: list[int] = field(default_factory=list)
    url: str = ""

    def __post_init__(self) -> None:
        self._in, self._out = anyio.create_memory_object_stream[tuple[dict[str, str], bytes]](100)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = {key.decode(): value.decode() for key, value in scope["headers"]}
        self._in.send_nowait((headers | {"path": scope["path"]}, body))
        status = self.statuses.pop(0) if self.statuses else 200
        if not status:
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        location = [(b"location", b"/elsewhere")] if status == 302 else []
        await send({"type": "http.response.start", "status": status, "headers": location})
        await send({"type": "http.response.body", "body": b"an answer that nobody reads"})

    async def next(self) -> tuple[dict[str, str], bytes]:
        with anyio.fail_after(10):
            return await self._out.receive()

    @property
    def untold(self) -> bool:
        return not self._out.statistics().current_buffer_used

    def close(self) -> None:
        self._in.close()
        self._out.close()


@pytest.fixture
async def receiver(anyio_backend: str) -> AsyncIterator[Receiver]:
    made = Receiver()
    async with listening(made) as made.url:
        yield made
    made.close()


@pytest.fixture
async def app(tmp_path: Path, anyio_backend: str) -> AsyncIterator[App]:
    async with rooms(tmp_path / "data") as opened:
        yield opened


class Noted(Webhooks):
    """Tells the test of each delivery that is written down, by data folder."""

    bells: ClassVar[dict[Path, anyio.Event]] = {}

    async def _write(self, delivery: Delivery, how: Told) -> None:
        await super()._write(delivery, how)
        for folder in list(self.bells):
            self.bells.pop(folder).set()


@asynccontextmanager
async def telling(app: App, **given: Any) -> AsyncIterator[ServerKey]:
    """Deliver webhooks as a server does; private addresses are allowed."""
    key = ServerKey.load(app.settings.data_dir)
    given = {"allow_private": True, "schedule": QUICK} | given
    results = given.pop("results", Results(app.catalog, app.media, LINKS))
    teller = Noted(app.queue.outbox, results, key, **given)
    async with anyio.create_task_group() as group:
        group.start_soon(teller.run)
        yield key
        group.cancel_scope.cancel()


async def submitted(app: App, url: str, prompt: str = "a poem", **more: Any) -> Job:
    hook = Webhook(url, "https://queue.fal.run")
    call = Submission(MODEL, {"prompt": prompt}, ME, "queue", webhook=hook, **more)
    return (await app.queue.submit(call)).job


async def ended(app: App, job: Job) -> Job:
    return await app.queue.wait(job.id, ME, 10)


async def settled(app: App) -> list[tuple[str, int, str]]:
    """Wait until nothing is due any more; returns state, attempts and answer of each webhook."""
    folder = app.settings.data_dir
    with anyio.fail_after(10), closing(sqlite3.connect(folder / "jobs.sqlite")) as db:
        while True:
            written = Noted.bells.setdefault(folder, anyio.Event())
            rows = db.execute("SELECT state, attempts, answer FROM webhooks ORDER BY job")
            found = rows.fetchall()
            if found and all(state != "due" for state, _, _ in found):
                return found
            await written.wait()


async def test_a_success_is_told_and_signed(app: App, receiver: Receiver) -> None:
    async with telling(app) as key:
        job = await ended(app, await submitted(app, f"{receiver.url}/told?x=1"))
        headers, body = await receiver.next()
        assert await settled(app) == [("delivered", 1, "200")]
    url = f"https://queue.fal.run/files/{job.assets[0].uri.removeprefix('media://')}"
    told = json.loads(body)
    assert told["payload"]["text"]["url"] == url
    assert told["payload"]["seed"] == job.seed
    assert {k: v for k, v in told.items() if k != "payload"} == {
        "request_id": job.id,
        "gateway_request_id": job.id,
        "status": "OK",
    }
    assert (headers["content-type"], headers["path"]) == ("application/json", "/told")
    assert headers["x-fal-webhook-user-id"] == "ann"
    (published,) = key.jwks()["keys"]
    checked(headers, body, published)
    with pytest.raises(InvalidSignature):
        checked(headers, body + b" ", published)
    with pytest.raises(InvalidSignature):
        stamp = int(headers["x-fal-webhook-timestamp"]) - 1
        checked(headers | {"x-fal-webhook-timestamp": str(stamp)}, body, published)


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (ContentRefused("No.", "Ask for something else."), 422, "content_policy_violation"),
        (OutOfMemory("Full.", "Wait."), 500, "internal_server_error"),
    ],
)
async def test_a_failure_is_told_with_its_details(
    tmp_path: Path, receiver: Receiver, error: Exception, status: int, kind: str
) -> None:
    async with rooms(tmp_path / "data", writer=Writer(error), attempts=1) as app:
        job = await submitted(app, receiver.url)
        async with telling(app):
            _, body = await receiver.next()
    told = json.loads(body)
    assert (told["request_id"], told["status"]) == (job.id, "ERROR")
    assert told["error"] == f"Invalid status code: {status}"
    (detail,) = told["payload"]["detail"]
    assert (detail["type"], detail["msg"]) == (kind, str(error))


async def test_a_refused_call_and_a_cancelled_one_are_told(
    tmp_path: Path, receiver: Receiver
) -> None:
    async with rooms(tmp_path / "data", writer=Writer(waits=True)) as app, telling(app):
        hook = Webhook(receiver.url)
        problems = [{"loc": ["body", "prompt"], "msg": "is missing.", "type": "missing"}]
        await app.queue.refuse(
            Submission(MODEL, {}, ME, "queue", webhook=hook),
            Failure("invalid_arguments", "prompt: is missing."),
            {"problems": problems},
        )
        told = json.loads((await receiver.next())[1])
        assert (told["error"], told["payload"]["detail"]) == ("Invalid status code: 422", problems)
        job = await submitted(app, receiver.url)
        await app.queue.cancel(job.id, ME)
        told = json.loads((await receiver.next())[1])
        assert told["error"] == "Invalid status code: 499"


async def test_an_answer_that_is_no_good_brings_another_try(app: App, receiver: Receiver) -> None:
    receiver.statuses = [500, 404, 204]
    async with telling(app) as key:
        await submitted(app, receiver.url)
        for _ in range(3):
            checked(*await receiver.next(), key.jwks()["keys"][0])
        assert await settled(app) == [("delivered", 3, "204")]


async def test_after_the_last_try_it_is_given_up(
    app: App, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.statuses = [500] * 9
    async with telling(app):
        job = await submitted(app, f"{receiver.url}/hook?secret=1")
        assert await settled(app) == [("failed", 3, "500")]
    assert f"{receiver.url}/hook was not told of job {job.id}, in 3 tries: 500" in caplog.text
    assert "secret" not in caplog.text


async def test_a_redirect_is_not_followed_nor_tried_again(app: App, receiver: Receiver) -> None:
    receiver.statuses = [302]
    async with telling(app):
        await submitted(app, receiver.url)
        assert await settled(app) == [("failed", 1, "302")]
    assert (await receiver.next())[0]["path"] == "/"
    assert receiver.untold


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "0x7f.1"])
async def test_addresses_that_are_not_public_are_never_told(
    app: App, receiver: Receiver, host: str
) -> None:
    port = receiver.url.rpartition(":")[2]
    async with telling(app, allow_private=False):
        await submitted(app, f"http://{host}:{port}/")
        assert await settled(app) == [("failed", 1, "not a public address")]
    assert receiver.untold


async def test_the_address_that_was_checked_is_the_one_that_is_told(
    app: App, receiver: Receiver
) -> None:
    asked = []

    async def resolver(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    port = int(receiver.url.rpartition(":")[2])
    async with telling(app, resolver=resolver):
        await submitted(app, f"http://hooks.example:{port}/")
        headers, _ = await receiver.next()
        await settled(app)
    assert headers["host"] == f"hooks.example:{port}"
    assert asked == [("hooks.example", port)]


async def test_a_host_that_is_not_known_may_be_known_later(app: App, receiver: Receiver) -> None:
    asked = []

    async def resolver(host: str, port: int) -> list[str]:
        asked.append(host)
        if len(asked) == 1:
            raise OSError("no such host")
        return ["127.0.0.1"]

    async with telling(app, resolver=resolver):
        await submitted(app, receiver.url.replace("127.0.0.1", "hooks.example"))
        assert await settled(app) == [("delivered", 2, "200")]


@pytest.mark.parametrize(
    ("url", "answer"),
    [
        ("ftp://example.com/", "no http(s) address"),
        ("no address", "no http(s) address"),
    ],
)
async def test_what_is_no_address_is_given_up(app: App, url: str, answer: str) -> None:
    async with telling(app):
        await submitted(app, url)
        assert await settled(app) == [("failed", 1, answer)]


async def test_a_port_where_nobody_listens_is_tried_again(app: App) -> None:
    async with telling(app):
        await submitted(app, "http://127.0.0.1:9/")
        assert await settled(app) == [("failed", 3, "ConnectError")]


async def test_dead_webhooks_delay_neither_jobs_nor_other_webhooks(
    app: App, receiver: Receiver
) -> None:
    dead = Receiver([0] * 40)
    async with listening(dead) as dead.url, telling(app, schedule=[Try(0, 30)]):
        jobs = [await submitted(app, dead.url, f"{number}") for number in range(30)]
        for job in jobs:
            assert (await ended(app, job)).state is JobState.SUCCEEDED
        await submitted(app, receiver.url, "a living one")
        await receiver.next()
    dead.close()


async def test_a_try_takes_no_longer_than_it_may(app: App, receiver: Receiver) -> None:
    receiver.statuses = [0]
    async with telling(app, schedule=[Try(0, 0.05), Try(0, 5)]):
        await submitted(app, receiver.url)
        assert await settled(app) == [("delivered", 2, "200")]


async def test_a_webhook_waits_for_a_server_that_delivers(
    tmp_path: Path, receiver: Receiver
) -> None:
    async with rooms(tmp_path / "data") as app:
        job = await ended(app, await submitted(app, receiver.url))
    async with rooms(tmp_path / "data") as app, telling(app):
        _, body = await receiver.next()
        assert json.loads(body)["request_id"] == job.id
        assert await settled(app) == [("delivered", 1, "200")]


async def test_a_try_that_a_stop_breaks_off_is_made_again_at_once(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.statuses = [0]
    async with rooms(tmp_path / "data") as app:
        async with telling(app):
            await submitted(app, receiver.url)
            await receiver.next()
        assert await app.queue._store.next_webhook() <= time.time()
    async with rooms(tmp_path / "data") as app, telling(app):
        await receiver.next()
        assert await settled(app) == [("delivered", 2, "200")]


async def test_a_try_that_died_with_its_server_is_made_again(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "HOLD_SECONDS", 0.2)
    async with rooms(tmp_path / "data") as app:
        await submitted(app, receiver.url)
        with anyio.fail_after(10):
            (taken,) = await app.queue.outbox.next(1)  # and dies
        async with telling(app):
            await receiver.next()
            assert await settled(app) == [("delivered", taken.attempt + 1, "200")]


async def test_of_two_servers_one_tells(tmp_path: Path, receiver: Receiver) -> None:
    data = tmp_path / "data"
    async with rooms(data) as one, rooms(data) as two, telling(one), telling(two):
        jobs = [await submitted(one, receiver.url, f"{n}") for n in range(20)]
        told = [json.loads((await receiver.next())[1])["request_id"] for _ in jobs]
        assert set(await settled(one)) == {("delivered", 1, "200")}
    assert sorted(told) == sorted(job.id for job in jobs)
    assert receiver.untold


async def test_a_result_whose_files_are_gone_is_told_without_them(
    app: App, receiver: Receiver
) -> None:
    class Gone(Results):
        async def body(self, job: Job, origin: str) -> dict[str, Any]:
            return {"text": await app.media.read("media://" + "a" * 64 + ".txt")}

    async with telling(app, results=Gone(app.catalog, app.media, LINKS)):
        await submitted(app, receiver.url)
        told = json.loads((await receiver.next())[1])
    assert (told["status"], told["payload"]) == ("OK", None)
    assert told["payload_error"].startswith("There is no asset media://aaa")


async def test_a_bug_in_one_delivery_leaves_the_others(
    app: App, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    class Buggy(Results):
        async def body(self, job: Job, origin: str) -> dict[str, Any]:
            if job.arguments["prompt"] == "bug":
                raise RuntimeError("a bug")
            return {}

    async with telling(app, results=Buggy(app.catalog, app.media, LINKS)):
        bug = await submitted(app, receiver.url, "bug")
        await ended(app, bug)
        await submitted(app, receiver.url, "fine")
        await receiver.next()
        answers = await settled(app)
    assert answers == [("failed", 1, "a bug of this server"), ("delivered", 1, "200")]
    assert f"The webhook of job {bug.id} could not be told" in caplog.text


async def test_a_disk_that_fails_delays_webhooks_only(
    app: App, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(webhooks, "AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(outbox, "HOLD_SECONDS", 0.1)
    store = app.queue._store
    full = StorageFailed("The disk is full.", "Free some space.")
    for name, faults in {"take_webhooks": [full, RuntimeError("a bug")], "told": [full]}.items():
        monkeypatch.setattr(store, name, failing(getattr(store, name), faults))
    async with telling(app):
        await submitted(app, receiver.url)
        await receiver.next()
        await receiver.next()  # nobody knows that the first was told
        assert await settled(app) == [("delivered", 2, "200")]
    assert "Webhooks have to wait: The disk is full." in caplog.text
    assert "RuntimeError: a bug" in caplog.text
    assert "will be told again: The disk is full." in caplog.text


def failing(call: Any, faults: list[Exception]) -> Any:
    """Return `call`, which raises the `faults` first."""

    async def tried(*args: Any) -> Any:
        if faults:
            raise faults.pop(0)
        return await call(*args)

    return tried


async def test_an_owner_that_no_header_can_hold_is_escaped(app: App, receiver: Receiver) -> None:
    async with telling(app) as key:
        call = Submission(
            MODEL, {"prompt": "a"}, Caller("Zoë\n"), "queue", webhook=Webhook(receiver.url)
        )
        await app.queue.submit(call)
        headers, body = await receiver.next()
        checked(headers, body, key.jwks()["keys"][0])


async def test_a_private_job_tells_its_result(app: App, receiver: Receiver) -> None:
    async with telling(app):
        job = await submitted(app, receiver.url, "a secret", private=True)
        _, body = await receiver.next()
    assert json.loads(body)["payload"]["text"]["url"].endswith(".txt")
    assert b"secret" not in body
    assert (await app.queue.get(job.id, ME)).arguments == {}


def test_ten_tries_are_made_within_two_hours() -> None:
    longest = sum(each.after + each.timeout for each in SCHEDULE)
    assert (len(SCHEDULE), SCHEDULE[0]) == (10, Try(0, 15))
    assert 3600 < longest <= 7200
    assert [each.after for each in SCHEDULE] == sorted(each.after for each in SCHEDULE)
    assert max(each.timeout for each in SCHEDULE) < outbox.HOLD_SECONDS


async def test_a_server_delivers_and_shows_its_keys(tmp_path: Path, receiver: Receiver) -> None:
    async with serving(tmp_path / "data", allow_private_urls=True) as served:
        await submitted(served.app, receiver.url)
        headers, body = await receiver.next()
        for keys in (await published(served), await published(served, host="rest.fal.ai")):
            checked(headers, body, keys[0])


async def published(served: Served, host: str = "") -> list[dict[str, str]]:
    path = "/.well-known/jwks.json"
    if not host:
        answer = await served.http.get(f"/rest{path}")
    else:
        answer = await served.http.get(path, headers={"Host": host})
    assert answer.status_code == 200
    keys: list[dict[str, str]] = answer.json()["keys"]
    return keys


async def test_keys_are_shown_without_a_key(tmp_path: Path) -> None:
    async with serving(tmp_path / "data", api_key="k") as locked:
        (key,) = await published(locked)
        assert set(key) == {"crv", "kty", "x", "kid", "use", "alg"}
