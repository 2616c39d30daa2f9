"""Callers over HTTP: what is one's own is nobody else's, through every door and by every name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import httpx2
import mcp_types as t
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import ResourceUpdated

from callerskit import ABSENT, NOBODY, House, call, house, like, png
from media_mcp.job import Caller, JobState
from support import Opened

pytestmark = pytest.mark.anyio

ACCEPT = {"Accept": "application/json, text/event-stream"}
PNG = png()

CHANGES = (t.ResourceUpdatedNotification, t.ResourceListChangedNotification)


async def test_without_a_key_or_with_a_wrong_one_there_is_no_way_in(opened: Opened) -> None:
    async with house(opened) as place, httpx2.AsyncClient(base_url=place.url) as http:
        for shown in ({}, {"Authorization": "Key x"}, {"Authorization": "Bearer mmk-1-2"}):
            for method, path in (
                ("POST", "/mcp"),
                ("POST", "/queue/rehearsal/image"),
                ("GET", f"/queue/rehearsal/image/requests/{NOBODY}/status"),
                ("POST", "/run/rehearsal/image"),
                ("GET", "/v1/models"),
                ("POST", "/rest/storage/auth/token"),
            ):
                answer = await http.request(method, path, headers=shown, json={})
                assert answer.status_code == 401, path
        assert (await http.get("/health")).status_code == 200


async def test_a_key_works_at_both_doors_and_its_caller_owns_what_it_makes(
    opened: Opened, era: str
) -> None:
    async with house(opened) as place, place.mcp("ann", era) as ann, place.http("ann") as http:
        made = await call(ann, "rehearsal_image", prompt="x")
        submitted = (await http.post("/queue/rehearsal/image", json={"prompt": "y"})).json()
        seen = await call(ann, "get_job", job_id=submitted["request_id"])
        assert seen["state"] == "succeeded"
        status = await http.get(f"/queue/rehearsal/image/requests/{made['job_id']}/status")
        assert status.json()["status"] == "COMPLETED"
        jobs = await place.app.queue.jobs(Caller("ann"))
        assert {job.caller.owner for job in jobs} == {"ann"} and len(jobs) == 2
        assert await place.app.queue.jobs(Caller()) == []


async def test_what_is_anns_bob_cannot_see_through_the_tools(opened: Opened, era: str) -> None:
    async with (
        house(opened) as place,
        place.mcp("ann", era) as ann,
        place.mcp("bob", era) as bob,
    ):
        made = await call(ann, "rehearsal_image", prompt="ann's secret")
        job, uri = made["job_id"], made["assets"][0]["uri"]
        path = made["assets"][0]["path"]
        for tool in ("get_job", "cancel_job"):
            theirs = await call(bob, tool, job_id=job)
            none = await call(bob, tool, job_id=NOBODY)
            assert like(json.dumps(theirs), job) == like(json.dumps(none), NOBODY)
        for name, absent in ((uri, ABSENT), (path, f"{path}.gone"), (f"file://{path}", path)):
            theirs = await call(bob, "rehearsal_edit", prompt="x", image_url=name)
            none = await call(bob, "rehearsal_edit", prompt="x", image_url=absent)
            assert theirs["state"] == none["state"] == "rejected", (theirs, none)
            if name == uri:
                assert like(json.dumps(theirs), name) == like(json.dumps(none), absent)
        for tool in ("list_jobs", "list_assets", "spend"):
            assert job not in json.dumps(await call(bob, tool))
            assert "secret" not in json.dumps(await call(bob, tool))
        for tool, before in (("list_assets", uri), ("list_jobs", job)):
            assert (await call(bob, tool, before=before))["state"] == "rejected"


async def test_the_same_bytes_tell_neither_caller_of_the_other(opened: Opened, era: str) -> None:
    async with (
        house(opened) as place,
        place.mcp("ann", era) as ann,
        place.mcp("bob", era) as bob,
        place.http("bob") as http,
    ):
        model = "rehearsal_image"
        made = await call(ann, model, prompt="x", seed=1, width=64, height=64)
        path = Path(made["assets"][0]["path"])
        theirs = await call(bob, model, prompt="x", seed=1, width=64, height=64)
        (asset,) = theirs["assets"]
        assert asset["uri"] == made["assets"][0]["uri"]
        assert Path(asset["path"]).parent.parent != path.parent.parent
        index = Path(asset["path"]).parent.parent / "index"
        (side,) = index.rglob("*.json")
        assert made["job_id"] not in side.read_text() and theirs["job_id"] in side.read_text()
        got = await http.get(f"/files/{asset['uri'].removeprefix('media://')}")
        assert Path(asset["path"]).name in got.headers["content-disposition"]
        edited = await call(bob, "rehearsal_edit", prompt="y", image_url=asset["path"])
        assert edited["state"] == "succeeded"  # one's own files may be named by their path


async def test_what_is_anns_bob_cannot_read_as_a_resource(opened: Opened, era: str) -> None:
    async with (
        house(opened) as place,
        place.mcp("ann", era) as ann,
        place.mcp("bob", era) as bob,
    ):
        made = await call(ann, "rehearsal_image", prompt="x")
        uri, job = made["assets"][0]["uri"], f"job://{made['job_id']}"
        assert (await ann.read_resource(uri)).contents
        for theirs, absent in (
            (uri, ABSENT),
            (f"{uri}?offset=0&length=4", f"{ABSENT}?offset=0&length=4"),
            (job, f"job://{NOBODY}"),
        ):
            said = []
            for name in (theirs, absent):
                with pytest.raises(MCPError) as refused:
                    await bob.read_resource(name)
                said.append(like(str(refused.value), name))
            assert said[0] == said[1]
        listed = [str(resource.uri) for resource in (await bob.list_resources()).resources]
        assert uri not in listed


async def made_by_ann(place: House, ann: Client) -> None:
    made = await call(ann, "rehearsal_image", prompt="x")
    await place.app.queue.wait(made["job_id"], Caller("ann"), 20)


async def test_of_what_is_anns_bobs_stream_tells_nothing(opened: Opened) -> None:
    """Events come in order: what is Bob's own comes last, and is all that he hears."""
    async with (
        house(opened, wait=0) as place,
        place.mcp("ann", "2026-07-28") as ann,
        place.mcp("bob", "2026-07-28") as bob,
    ):
        slow, own = [await call(c, "test_slow", prompt="x") for c in (ann, bob)]
        asked = [f"job://{name}" for name in (slow["job_id"], NOBODY, own["job_id"])]
        async with bob.listen(resource_subscriptions=asked, resources_list_changed=True) as heard:
            assert heard.honored.resource_subscriptions == asked  # of none is said whether it is
            await made_by_ann(place, ann)
            await call(ann, "cancel_job", job_id=slow["job_id"])
            await call(bob, "cancel_job", job_id=own["job_id"])
            assert await heard.__anext__() == ResourceUpdated(asked[2])


@pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")
async def test_of_what_is_anns_bobs_connection_is_told_nothing(opened: Opened) -> None:
    told: list[Any] = []
    his = anyio.Event()

    async def hear(message: Any) -> None:
        told.append(message)
        if isinstance(message, t.ResourceUpdatedNotification):
            his.set()

    async with (
        house(opened, wait=0) as place,
        place.mcp("ann", "legacy") as ann,
        place.mcp("bob", "legacy", hear) as bob,
    ):
        slow, own = [await call(c, "test_slow", prompt="x") for c in (ann, bob)]
        asked = [f"job://{name}" for name in (slow["job_id"], NOBODY, own["job_id"])]
        for uri in asked:
            await bob.subscribe_resource(uri)
        await made_by_ann(place, ann)
        await call(ann, "cancel_job", job_id=slow["job_id"])
        await call(bob, "cancel_job", job_id=own["job_id"])
        with anyio.fail_after(20):
            await his.wait()
        changes = [one for one in told if isinstance(one, CHANGES)]
        assert [str(getattr(one.params, "uri", one)) for one in changes] == [asked[2]]


async def test_what_is_anns_bob_cannot_reach_through_the_queue(opened: Opened) -> None:
    async with house(opened) as place, place.http("ann") as ann, place.http("bob") as bob:
        running = (await ann.post("/queue/test/slow", json={"prompt": "x"})).json()["request_id"]
        done = (await ann.post("/queue/rehearsal/image", json={"prompt": "x"})).json()["request_id"]
        await place.app.queue.wait(done, Caller("ann"), 20)
        result = (await ann.get(f"/queue/rehearsal/image/requests/{done}")).json()
        for name, app in ((done, "rehearsal/image"), (running, "test/slow")):
            for method, end in (
                ("GET", ""),
                ("GET", "/status"),
                ("GET", "/status?logs=1"),
                ("GET", "/status/stream"),
                ("PUT", "/cancel"),
            ):
                theirs = await bob.request(method, f"/queue/{app}/requests/{name}{end}")
                none = await bob.request(method, f"/queue/{app}/requests/{NOBODY}{end}")
                assert theirs.status_code == none.status_code >= 400, end
                assert like(theirs.text, name) == like(none.text, NOBODY)
        link = result["images"][0]["url"]
        plain = link.partition("?")[0]
        assert (await bob.get(plain)).status_code == 404
        assert (await ann.get(plain)).status_code == 200
        absent = plain.replace(plain.rpartition("/")[2][:64], "0" * 64)
        assert (await bob.get(plain)).text == (await bob.get(absent)).text
        used = await bob.post("/run/rehearsal/edit", json={"prompt": "x", "image_url": link})
        none = await bob.post("/run/rehearsal/edit", json={"prompt": "x", "image_url": absent})
        assert used.status_code == none.status_code == 422
        assert (await place.app.queue.get(running, Caller("ann"))).state is JobState.RUNNING


async def test_a_link_is_seen_by_whoever_it_is_given_to(opened: Opened) -> None:
    async with house(opened) as place, place.http("ann") as ann, httpx2.AsyncClient() as other:
        result = (await ann.post("/run/rehearsal/image", json={"prompt": "x"})).json()
        assert (await other.get(result["images"][0]["url"])).status_code == 200


async def test_an_upload_of_ann_s_is_hers_by_every_name_it_has(opened: Opened) -> None:
    async with house(opened) as place, place.http("ann") as ann, place.http("bob") as bob:
        asked = {"file_name": "hers.png", "content_type": "image/png"}
        told = (await ann.post("/rest/storage/upload/initiate", json=asked)).json()
        await ann.put(told["upload_url"], content=PNG)
        link = told["file_url"]
        plain, absent = link.partition("?")[0], link.replace(link.rpartition("/")[2][:32], "0" * 32)
        theirs, none = await bob.get(plain), await bob.get(absent)
        assert (theirs.status_code, theirs.text) == (none.status_code, none.text)
        assert set(theirs.headers) == set(none.headers)
        bodies = [{"prompt": "x", "image_url": name} for name in (link, absent)]
        used, none = [await bob.post("/run/rehearsal/edit", json=body) for body in bodies]
        assert used.status_code == none.status_code == 422
        async with place.http("") as nobody:
            assert (await nobody.get(plain)).status_code == 404
            assert (await nobody.get(link)).content == PNG
        assert (await ann.post("/run/rehearsal/edit", json=bodies[0])).status_code == 200


async def test_a_link_opens_its_own_file_whole_and_until_its_time(opened: Opened) -> None:
    async with house(opened, link_seconds=3600) as place, place.http("ann") as ann:
        first, second = [
            (await ann.post("/run/rehearsal/image", json={"prompt": p})).json()["images"][0]["url"]
            for p in "ab"
        ]
        name, _, token = first.partition("?token=")
        other = f"{second.partition('?')[0]}?token={token}"
        wrong = [f"{name}?token={token[:-2]}AA", f"{name}?token=", f"{name}?Token={token}", other]
        wrong += [first.replace("/files/", "/files/%2e%2e/files/"), first.replace("/", "%2f", 1)]
        wrong += [f"{name}?{'a=1&' * 30}token={token}", f"{name}%00?token={token}"]
        async with place.http("") as nobody:
            for url in wrong:
                try:
                    assert (await nobody.get(url)).status_code in (401, 404), url
                except httpx2.UnsupportedProtocol:
                    assert "%2f" in url
            whole = (await nobody.get(first)).content
            part = await nobody.get(first, headers={"Range": "bytes=4-7"})
            assert (part.status_code, part.content) == (206, whole[4:8])
            assert (await nobody.head(first)).headers["content-length"] == str(len(whole))


async def test_one_key_for_repeated_requests_is_each_caller_s_own(opened: Opened) -> None:
    async with house(opened) as place, place.http("ann") as ann, place.http("bob") as bob:
        same = {"Idempotency-Key": "1"}
        ids = []
        for http, prompt in ((ann, "x"), (bob, "y"), (ann, "x")):
            path, body = "/queue/rehearsal/image", {"prompt": prompt}
            ids.append((await http.post(path, json=body, headers=same)).json()["request_id"])
        assert ids[0] == ids[2] != ids[1]
        owners = [(await place.app.queue.jobs(Caller(name)))[0].id for name in ("ann", "bob")]
        assert owners == ids[:2]


async def test_a_task_of_ann_s_is_none_to_bob(opened: Opened) -> None:
    async with house(opened) as place, place.http("ann") as ann, place.http("bob") as bob:
        job = (await ann.post("/queue/test/slow", json={"prompt": "x"})).json()["request_id"]
        for method in ("tasks/get", "tasks/cancel", "tasks/update"):
            said = []
            for name in (job, NOBODY):
                answer = await bob.post("/mcp", **asking(method, name))
                said.append((answer.status_code, like(answer.text, name)))
            assert said[0] == said[1] and "Unknown task" in said[0][1]
        assert job in (await ann.post("/mcp", **asking("tasks/get", job))).text
        assert not (await place.app.queue.get(job, Caller("ann"))).state.terminal


def asking(method: str, task: str) -> dict[str, Any]:
    """Return a request about a task as it goes over the wire in the newer era."""
    version = "2026-07-28"
    headers = ACCEPT | {"MCP-Protocol-Version": version, "Mcp-Method": method, "Mcp-Name": task}
    meta = {
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientCapabilities": {
            "extensions": {"io.modelcontextprotocol/tasks": {}}
        },
    }
    params = {"taskId": task, "inputResponses": {}, "_meta": meta}
    return {
        "headers": headers,
        "json": {"jsonrpc": "2.0", "id": 3, "method": method, "params": params},
    }


async def test_a_session_belongs_to_the_key_that_opened_it(opened: Opened) -> None:
    client = {"name": "x", "version": "1"}
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client}
    hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
    ping = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
    async with house(opened) as place, place.http("ann") as ann, place.http("bob") as bob:
        begun = await ann.post("/mcp", json=hello, headers=ACCEPT)
        session = ACCEPT | {"Mcp-Session-Id": begun.headers["mcp-session-id"]}
        assert (await ann.post("/mcp", json=ping, headers=session)).status_code == 200
        stolen = {"POST": session, "GET": session | {"Last-Event-ID": "1"}, "DELETE": session}
        for method, headers in stolen.items():
            none = await bob.request(
                method, "/mcp", json=ping, headers=headers | {"Mcp-Session-Id": "0" * 32}
            )
            theirs = await bob.request(method, "/mcp", json=ping, headers=headers)
            assert theirs.status_code == none.status_code == 404, method
            assert like(theirs.text, session["Mcp-Session-Id"]) == like(none.text, "0" * 32)
        assert (await ann.post("/mcp", json=ping, headers=session)).status_code == 200


async def test_a_key_that_only_reads_makes_and_stops_nothing(opened: Opened, era: str) -> None:
    async with house(opened) as place, place.mcp("eve", era) as eve, place.http("eve") as http:
        for tool, given in (
            ("rehearsal_image", {"prompt": "x"}),
            ("run_model", {"model": "rehearsal/image", "arguments": {"prompt": "x"}}),
            ("cancel_job", {"job_id": NOBODY}),
            ("rehearsal_edit", {"prompt": "x", "image_url": "data:image/png;base64,AAAA"}),
        ):
            refused = await call(eve, tool, **given)
            assert refused["error"]["code"] == "forbidden", tool
            assert "This key only reads" in refused["error"]["message"]
            assert "scope run" in refused["next"]
        for method, path in (
            ("POST", "/queue/rehearsal/image"),
            ("POST", "/run/rehearsal/image"),
            ("POST", "/rest/storage/auth/token"),
            ("POST", "/rest/storage/upload/initiate"),
            ("POST", "/cdn/files/upload"),
        ):
            answer = await http.request(method, path, json={"prompt": "x"})
            assert answer.status_code == 403, path
        assert (await call(eve, "find_models", query="image"))["models"]
        assert await place.app.queue.jobs(Caller("eve")) == []


async def test_a_key_that_is_revoked_is_refused_at_once(opened: Opened) -> None:
    async with house(opened) as place, place.http("ann") as ann:
        assert (await ann.get("/v1/models")).status_code == 200
        place.ring.revoke("ann")
        assert (await ann.get("/v1/models")).status_code == 401


async def test_a_caller_has_only_so_many_jobs_at_once(opened: Opened) -> None:
    async with (
        house(opened, limits={"jobs_at_once": 1}) as place,
        place.http("ann") as ann,
        place.http("bob") as bob,
    ):
        first = await ann.post("/queue/test/slow", json={"prompt": "x"})
        refused = await ann.post("/queue/test/slow", json={"prompt": "x"})
        assert (first.status_code, refused.status_code) == (200, 429)
        assert refused.headers["retry-after"] == "5"
        assert "You have 1 jobs that are not over" in refused.text
        assert (await bob.post("/queue/test/slow", json={"prompt": "x"})).status_code == 200


async def test_a_caller_makes_only_so_many_jobs_a_minute(opened: Opened, era: str) -> None:
    rules = {"ann": {"limits": {"jobs_per_minute": 2}}}
    async with house(opened, callers=rules) as place, place.mcp("ann", era) as ann:
        for prompt in "ab":
            await call(ann, "rehearsal_image", prompt=prompt)
        refused = await call(ann, "rehearsal_image", prompt="c")
        assert refused["error"]["code"] == "too_many"
        assert "You made 2 jobs in the last minute" in refused["error"]["message"]
        assert "Try again in" in refused["next"]


async def test_a_caller_asks_only_so_often(opened: Opened) -> None:
    async with (
        house(opened, limits={"requests_per_minute": 3}) as place,
        place.http("ann") as ann,
        place.http("bob") as bob,
    ):
        codes = [(await ann.get("/v1/models")).status_code for _ in range(4)]
        assert codes == [200, 200, 200, 429]
        slow = await ann.get(f"/queue/rehearsal/image/requests/{NOBODY}/status")
        assert slow.status_code == 429
        assert 1 <= int(slow.headers["retry-after"]) <= 20
        assert (await bob.get("/v1/models")).status_code == 200


async def test_a_caller_has_a_budget_of_their_own(opened: Opened, era: str) -> None:
    rules = {"ann": {"budget": {"usd": 0.5}}}
    async with house(opened, callers=rules) as place, place.mcp("ann", era) as ann:
        assert (await call(ann, "spend"))["left"] == {"callers.ann.budget.usd": 0.5}
