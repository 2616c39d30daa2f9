"""Secrets that come back: in a place's failures, in webhooks that fail, in links of our own, in an
archive; and those that no worker or decoder is told."""

from __future__ import annotations

import gzip
import re
import signal
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from starlette.responses import JSONResponse, Response

from falplace import Place, open_place, toml

pytestmark = pytest.mark.anyio
API_KEY, PLACE_KEY, FAL_KEY = "plantedapikey0000001", "plantedplace:key0002", "plantedfal:key0003"
HUB, HOOK = "hf_plantedhub0004", "plantedhook00000005"
KEYS = {
    "MEDIA_MCP_API_KEY": API_KEY,
    "PAID_KEY": PLACE_KEY,
    "FAL_KEY": FAL_KEY,
    "HF_TOKEN": HUB,
    "MEDIA_MCP_ALLOW_PRIVATE_URLS": "true",
    "MEDIA_MCP_LOG_LEVEL": "debug",
}
PAID = "{backend: paid, spec: {endpoint: acme/model}, price: {amount: 0.25, unit: call}}"


def echo(status: int) -> Response:
    """Answer as a place that shows its callers their own headers."""
    shown = {"Authorization": f"Key {PLACE_KEY}", "user": PLACE_KEY}
    words = f"Bad request. You sent Authorization: Key {PLACE_KEY}"
    return JSONResponse({"detail": words, "headers": shown}, status)


def below(pid: int) -> list[int]:
    """Return the processes that a process has started, and theirs."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            found += [child, *below(child)]
    return found


def environments_below(pid: int) -> bytes:
    return b"".join(Path(f"/proc/{one}/environ").read_bytes() for one in below(pid))


async def over(http: httpx2.AsyncClient, model: str, job: str) -> str:
    """Wait for a job to be over; return what is answered about it."""
    at = f"/queue/{model}/requests/{job}"
    while (await http.get(f"{at}/status")).json()["status"] != "COMPLETED":
        pass
    return (await http.get(f"{at}/status?logs=1")).text + (await http.get(at)).text


async def failures(http: httpx2.AsyncClient, paid: Place) -> list[str]:
    """Have a place fail in every way that shows the key; return what callers are told."""
    told = []
    for what, status in (("submit", 401), ("submit", 422), ("status", 403), ("result", 500)):
        paid.instead[what] = [echo(status)]
        job = (await http.post("/queue/acme/model", json={"prompt": f"{what} {status}"})).json()
        told.append(await over(http, "acme/model", job["request_id"]))
    return told


async def test_what_comes_back_with_a_secret_in_it_is_told_without(
    child: Any, cli: Callable[..., Any], card: Any, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    async with open_place() as paid:
        configured = place / "config" / "media-mcp"
        more = {"allow_private": True, "key_env": "PAID_KEY", "patience_seconds": 1.0}
        toml(configured, "paid", kind="fal", url=paid.base, **more)
        card("acme/model", PAID)
        start = partial(child, "serve", "--http", "127.0.0.1:0", "--device", "cpu")
        server = await anyio.to_thread.run_sync(start)
        line = await anyio.to_thread.run_sync(server.line_of_stderr, "listens on")
        url = line.split()[-1].removesuffix("/mcp")
        headers = {"Authorization": f"Key {API_KEY}"}
        async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=60) as http:
            told = await failures(http, paid)
            hook = f"{paid.base}/queue/hook?token={HOOK}"
            paid.instead["submit"] = [echo(401)]
            sketch = {"prompt": "a red circle", "steps": 1}
            given = {"fal_webhook": hook}
            job = (await http.post("/queue/sketch", json=sketch, params=given)).json()
            made = await over(http, "sketch", job["request_id"])
            await paid.until(lambda here: HOOK in here.last("submit").path)
            environments = environments_below(server.process.pid)
            figures = (await http.get("/metrics")).text
            signed = re.findall(r'"url":"([^"]+)"', made)[0]
            assert (await http.get(signed)).is_success
            await http.get(signed[:-1] + "x")
        ended = await anyio.to_thread.run_sync(server.end, signal.SIGTERM)
    archive = place / "all.tar"
    assert cli("export", archive).code == 0
    archived = gzip.decompress(archive.read_bytes())
    with sqlite3.connect(place / "data" / "jobs.sqlite") as db:
        rows = "\n".join(line for line in db.iterdump() if '"webhooks"' not in line)
    db.close()
    signatures = re.findall(r"[?&]\w+=([\w-]{16,})", signed)
    assert paid.calls[0].headers["authorization"] == f"Key {PLACE_KEY}"
    assert b"PATH=" in environments and signatures
    assert all("You sent Authorization" in one for one in told[:2])  # its words, without the key
    assert b"a red circle" in archived
    for secret in (API_KEY, PLACE_KEY, FAL_KEY, HUB, HOOK, *signatures):
        assert secret not in ended.out + ended.err, secret
        assert secret not in figures + "".join(told), secret
        assert secret.encode() not in environments, secret
        assert secret.encode() not in archived, secret
        assert secret in (HOOK,) or secret not in rows, secret
