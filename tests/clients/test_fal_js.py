"""fal's JavaScript client, unpatched, on node, against the real server over TLS.

It has no setting for its address, so it is led here by its own means: a `fetch` that maps fal's
hosts, its proxy protocol (`proxyUrl`), or node's own `NODE_USE_ENV_PROXY`, under which it believes
to speak with fal itself. Realtime, whose address is fixed, takes another `WebSocket`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clientkit import KEY, Server, lines, run_script, tunnelled
from nodes import install_modules
from wiretraces import check_trace

pytestmark = pytest.mark.timeout(400)  # the first one may have to install the client

Fal = Callable[..., list[Any]]
MEANS = ["fetch", "proxy", "env"]
HEAD = """
import { createFalClient } from "@fal-ai/client";

const { SERVER, MEANS, FAL_KEY } = process.env;
const PLACES = { "queue.fal.run": "/queue", "fal.run": "/run", "rest.fal.ai": "/rest",
  "v3.fal.media": "/cdn", "api.fal.ai": "" };
const map = (url) => {
  const { hostname, pathname, search } = new URL(url);
  const place = PLACES[hostname];
  return place === undefined ? url : `${SERVER}${place}${pathname}${search}`;
};
const wire = [];
const names = (headers) => [...new Headers(headers).keys()];
const heard = async (url, options) => {
  const to = MEANS === "fetch" ? map(url.toString()) : url.toString();
  const answer = await fetch(to, options);
  const target = new Headers(options?.headers).get("x-fal-target-url");
  const shown = target === null ? to : `${to}?${target}`;
  wire.push([options?.method ?? "GET", shown, answer.status, names(options?.headers),
    names(answer.headers)]);
  return answer;
};
const tell = (value) => console.log(JSON.stringify(value));
const told = ({ status, logs, error_type }) =>
  [status, logs == null ? null : logs.map((line) => line.message), error_type];
const refusal = (error) => [error.name, error.status, error.message, error.body];
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

const config = { credentials: FAL_KEY, fetch: heard };
if (MEANS === "proxy") config.proxyUrl = { url: `${SERVER}/proxy`, when: "always" };
if (MEANS !== "env") {
  const address = SERVER.replace("https://", "wss://");
  globalThis.WebSocket = class extends WebSocket {
    constructor(url) { super(url.replace("wss://fal.run", `${address}/run`)); }
  };
}
const fal = createFalClient(config);
const FLUX = "fal-ai/flux/schnell";
const BOAT = { prompt: "a boat", image_size: "square", seed: 7 };
"""
TAIL = "\ntell(wire);\nprocess.exit(0);\n"


@pytest.fixture(scope="session")
def tunnels(steady: Server, slow: Server) -> Iterator[dict[str, str]]:
    with tunnelled(steady) as one, tunnelled(slow) as other:
        yield {steady.url: one, slow.url: other}


@pytest.fixture
def fal(tunnels: dict[str, str], node: Path, tmp_path: Path) -> Fal:
    """Run a module with the client led to a server; returns what it tells, the wire last."""
    (tmp_path / "node_modules").symlink_to(install_modules(node))

    def run(source: str, server: Server, means: str = "fetch", key: str = KEY) -> list[Any]:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "SERVER": server.url,
            "MEANS": means,
            "NODE_EXTRA_CA_CERTS": str(server.certificate),
            "FAL_KEY": key,
        }
        if means == "env":
            environment |= {"NODE_USE_ENV_PROXY": "1", "HTTPS_PROXY": tunnels[server.url]}
        script = tmp_path / "script.mjs"
        script.write_text(HEAD + source + TAIL)
        return lines(run_script([str(node), str(script)], environment, tmp_path))

    return run


def check_picture(server: Server, data: dict[str, Any]) -> None:
    """A result has fal's shape, and its picture can be fetched by its URL."""
    (image,) = data["images"]
    assert (image["width"], image["height"], data["seed"]) == (512, 512, 7)
    status, content, headers = server.get(image["url"])
    assert (status, len(content)) == (200, image["file_size"])
    assert headers["content-type"] == image["content_type"]


def check_updates(updates: list[list[Any]], request_id: str) -> None:
    """The states come in order, and every log line is there once in the end."""
    states = [state for state, _, _ in updates]
    order = ["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]
    assert states == sorted(states, key=order.index)
    assert states[-1] == "COMPLETED" and "IN_PROGRESS" in states
    words = updates[-1][1]
    assert words[0] == "queued for rehearsal" and words[-1] == "succeeded"
    assert len(words) == len(set(words)) and "step 10 of 10" in words
    assert len(request_id) == 18


# Subscribe


SUBSCRIBE = """
const ids = [], updates = [];
const { data, requestId } = await fal.subscribe(FLUX, {
  input: BOAT, logs: true, mode: "MODE", pollInterval: 50,
  onEnqueue: (id) => ids.push(id), onQueueUpdate: (update) => updates.push(told(update)),
});
tell([ids, requestId]); tell(updates); tell(data);
"""


@pytest.mark.parametrize("means", MEANS)
@pytest.mark.parametrize("mode", ["polling", "streaming"])
def test_subscribe(fal: Fal, steady: Server, mode: str, means: str) -> None:
    ids, updates, data, wire = fal(SUBSCRIBE.replace("MODE", mode), steady, means)
    assert ids[0] == [ids[1]]
    check_updates(updates, ids[1])
    check_picture(steady, data)
    check_trace(f"js-subscribe-{mode}-{means}", wire)


# The queue, call by call


QUEUE = """
const queued = await fal.queue.submit(FLUX, { input: BOAT });
const { request_id: requestId } = queued;
tell(queued);
tell(told(await fal.queue.status(FLUX, { requestId })));
const stream = await fal.queue.streamStatus(FLUX, { requestId, logs: true });
const streamed = [];
for await (const update of stream) streamed.push(told(update));
tell(streamed);
tell(told(await stream.done()));
tell(told(await fal.queue.subscribeToStatus(FLUX, { requestId, logs: true })));
tell(await fal.queue.result(FLUX, { requestId }));
"""


@pytest.mark.parametrize("means", MEANS)
def test_the_queue_call_by_call(fal: Fal, steady: Server, means: str) -> None:
    queued, first, streamed, done, last, result, wire = fal(QUEUE, steady, means)
    assert queued["status"] == "IN_QUEUE" and queued["queue_position"] == 0
    base = f"{steady.url}/queue" if means == "fetch" else "https://queue.fal.run"
    assert queued["response_url"] == f"{base}/fal-ai/flux/requests/{queued['request_id']}"
    assert first[0] in ("IN_QUEUE", "IN_PROGRESS") and first[1] is None
    assert streamed[-1] == done
    assert last[1] == [word for _, words, _ in streamed for word in words]
    assert result["requestId"] == queued["request_id"]
    check_picture(steady, result["data"])
    check_trace(f"js-queue-{means}", wire)


OPTIONS = """
const { request_id: requestId } = await fal.queue.submit(FLUX, {
  input: BOAT, priority: "low", hint: "lora-a", startTimeout: 9,
  webhookUrl: "https://example.com/hook", headers: { "X-Fal-Store-IO": "0" },
  storageSettings: { expiresIn: "1h" },
});
await fal.queue.subscribeToStatus(FLUX, { requestId, pollInterval: 50 });
tell((await fal.queue.result(FLUX, { requestId })).data.images.length);
"""


def test_every_option_of_submit_is_taken(fal: Fal, steady: Server) -> None:
    count, wire = fal(OPTIONS, steady)
    assert count == 1
    check_trace("js-options", wire)


def test_an_input_may_be_left_out(fal: Fal, steady: Server) -> None:
    source = """
    try { await fal.subscribe(FLUX, { pollInterval: 50 }); }
    catch (error) { tell([...refusal(error), error.fieldErrors, error.getFieldErrors("prompt")]); }
    """
    refused, _ = fal(source, steady)
    name, status, message, body, faults, of_prompt = refused
    assert (name, status) == ("ValidationError", 422)
    assert message.startswith("prompt: is required.")
    assert faults == of_prompt == body["detail"]
    assert faults[0]["loc"] == ["body", "prompt"]


def test_a_model_without_an_owner_has_ours(fal: Fal, steady: Server) -> None:
    source = """
    const { data } = await fal.subscribe("media-mcp/sketch",
      { input: { prompt: "a red circle" }, pollInterval: 50 });
    tell(data.images[0].content_type);
    """
    assert fal(source, steady)[0] == "image/png"


# Cancel and time out


CANCEL = """
const { request_id: requestId } = await fal.queue.submit(FLUX, { input: BOAT });
while ((await fal.queue.status(FLUX, { requestId })).status !== "IN_PROGRESS") await sleep(50);
await fal.queue.cancel(FLUX, { requestId });
tell(told(await fal.queue.subscribeToStatus(FLUX, { requestId, pollInterval: 50 })));
for (const call of [
  () => fal.queue.result(FLUX, { requestId }),
  () => fal.queue.cancel(FLUX, { requestId }),
  () => fal.queue.cancel(FLUX, { requestId: "0".repeat(18) }),
  () => fal.queue.status(FLUX, { requestId: "00000000-0000-4000-8000-000000000000" }),
  () => fal.queue.result(FLUX, { requestId: "0".repeat(18) }),
]) {
  try { await call(); } catch (error) { tell(refusal(error)); }
}
"""


@pytest.mark.parametrize("means", MEANS)
def test_cancel_running_late_and_unknown(fal: Fal, slow: Server, means: str) -> None:
    last, result, late, *unknown, _ = fal(CANCEL, slow, means)
    assert last == ["COMPLETED", None, "client_cancelled"]
    assert result[:3] == ["ApiError", 499, "Request was cancelled"]
    assert late[1::2] == [400, {"status": "ALREADY_COMPLETED"}]
    assert [refused[1::2] for refused in unknown] == [[404, {"status": "NOT_FOUND"}]] * 3


TIMEOUT = """
let requestId;
const onEnqueue = (id) => { requestId = id; };
try { await fal.subscribe(FLUX, { input: BOAT, timeout: 600, pollInterval: 50, onEnqueue }); }
catch (error) { tell(error.message); }
tell(told(await fal.queue.subscribeToStatus(FLUX, { requestId, pollInterval: 50 })));

process.on("uncaughtException", (error) => tell(error.message));
try { await fal.subscribe(FLUX, { input: BOAT, timeout: 600, mode: "streaming", onEnqueue }); }
catch (error) { tell(error.status); }
tell(told(await fal.queue.subscribeToStatus(FLUX, { requestId, pollInterval: 50 })));
"""


def test_a_client_that_waits_no_longer_has_its_request_cancelled(fal: Fal, slow: Server) -> None:
    words, polled, uncaught, failed, streamed, _ = fal(TIMEOUT, slow)
    assert words == uncaught
    assert "timed out waiting for the request to complete after 600ms" in words
    assert polled == streamed == ["COMPLETED", None, "client_cancelled"]
    assert failed in (400, 499)  # in progress yet, or cancelled: whichever call was faster


# Errors


REFUSED = """
for (const call of [
  () => fal.subscribe(FLUX, { input: { num_images: 99 }, pollInterval: 50 }),
  () => fal.run(FLUX, { input: {} }),
  () => fal.queue.submit("fal-ai/flux/shnell", { input: BOAT }),
]) {
  try { await call(); } catch (error) { tell([...refusal(error), error.requestId]); }
}
"""


@pytest.mark.parametrize("means", MEANS)
def test_what_is_wrong_is_told(fal: Fal, steady: Server, means: str) -> None:
    subscribed, ran, unknown, wire = fal(REFUSED, steady, means)
    assert subscribed[:2] == ran[:2] == ["ValidationError", 422]
    assert {(entry["loc"][-1], entry["type"]) for entry in subscribed[3]["detail"]} == {
        ("prompt", "missing"),
        ("num_images", "less_than_equal"),
    }
    assert len(subscribed[4]) == len(ran[4]) == 18
    assert unknown[:2] == ["ApiError", 404] and "fal-ai/flux/schnell" in unknown[2]
    check_trace(f"js-refused-{means}", wire)


def test_a_wrong_key_opens_nothing(fal: Fal, steady: Server) -> None:
    source = """
    try { await fal.run(FLUX, { input: BOAT }); } catch (error) { tell(refusal(error)); }
    """
    name, status, message, _ = fal(source, steady, key="id:wrong")[0]
    assert (name, status) == ("ApiError", 401) and message.startswith("A key is needed")


# Run, stream and realtime


RUN = """
const { data, requestId } = await fal.run(FLUX, { input: BOAT });
tell(data); tell(requestId);
const stream = await fal.stream(FLUX, { input: BOAT });
const events = [];
for await (const event of stream) events.push(event);
tell(events); tell(await stream.done());
"""


@pytest.mark.parametrize("means", MEANS)
def test_run_and_stream(fal: Fal, steady: Server, means: str) -> None:
    data, request_id, events, last, wire = fal(RUN, steady, means)
    check_picture(steady, data)
    assert len(request_id) == 18
    *progress, result = events
    assert progress and {event["total"] for event in progress} == {10}
    assert result == last
    check_picture(steady, last)
    check_trace(f"js-run-{means}", wire)


REALTIME = """
console.warn = () => {};  // of the default token provider, which is what this is about
const inbox = [];
const line = fal.realtime.connect(FLUX, {
  connectionKey: "one", throttleInterval: 0, maxBuffering: 8,
  onResult: (result) => inbox.push(result),
  onError: (error) => inbox.push([error.message, error.body?.type]),
});
const next = async () => { while (!inbox.length) await sleep(20); return inbox.shift(); };
line.send(BOAT); tell(await next());
line.send({ ...BOAT, seed: 8 }); tell((await next()).seed);
line.send({ seed: 1 }); tell(await next());
line.send(BOAT); tell((await next()).seed);
line.close();
"""


@pytest.mark.parametrize("means", MEANS)
def test_realtime(fal: Fal, steady: Server, means: str) -> None:
    first, second, fault, third, wire = fal(REALTIME, steady, means)
    check_picture(steady, first)
    assert (second, third) == (8, 7)
    assert fault[0].startswith("MISSING: prompt: is required.") and fault[1] == "x-fal-error"
    check_trace(f"js-realtime-{means}", wire)
