"""Secrets planted wherever a caller or an operator can put one, and looked for wherever a server
writes: its log at its most talkative, the rows, the figures, the answers."""

from __future__ import annotations

import json
import signal
import sqlite3
from pathlib import Path
from typing import Any

import httpx2
import pytest

API_KEY, FAL_KEY, HUB = "plantedapikey0000001", "planted-fal:key0002", "hf_plantedhub0003"
WRONG, TOKEN, QUERY = "plantedwrong00000004", "plantedtoken00000005", "plantedquery0000006"
HOOK, PROMPT, BYTES = "plantedhook00000007", "plantedprompt0000008", "cGxhbnRlZGJ5dGVzMDAwMDAwOQ"
URL = "plantedurl0000000010"
SECRETS = (API_KEY, FAL_KEY, HUB, WRONG, TOKEN, QUERY, HOOK, PROMPT, BYTES, URL)
IN_ROWS = (API_KEY, FAL_KEY, HUB, WRONG, TOKEN, QUERY, PROMPT, BYTES, URL)
HOSTILE = "evil\n2026-01-01 ERROR forged: x\x1b[2J\x9b31m"


def _calls(http: httpx2.Client) -> list[str]:
    """Knock at every door with secrets, rightly and wrongly; return the answers' texts."""
    private = {"X-Fal-Store-IO": "0"}
    bad_url = f"http://user:{URL}@127.0.0.1/a.png?token={URL}"
    hook = f"https://user:{HOOK}@127.0.0.1/hook?token={HOOK}"
    token = f"http://127.0.0.1/x?fal_jwt_token={TOKEN}"
    edit, image = "/queue/rehearsal/edit", "/queue/rehearsal/image"
    answers = [
        http.post(image, json={"prompt": PROMPT}, headers=private, params={"fal_webhook": hook}),
        http.post(image, json={"prompt": PROMPT, "no_such": PROMPT}, headers=private),
        http.post(edit, json={"prompt": PROMPT, "image_url": bad_url}, headers=private),
        http.post(
            edit,
            json={"prompt": PROMPT, "image_url": f"data:image/png;base64,{BYTES}"},
            headers=private,
        ),
        http.post(image, content=b'{"prompt": "' + PROMPT.encode(), headers=private),
        http.get("/v1/models", headers={"Authorization": f"Bearer {WRONG}"}),
        http.get("/metrics", headers={"Authorization": f"Key {WRONG}"}),
        http.get("/files/x.png", params={"token": QUERY, "signature": QUERY}),
        http.post("/run/rehearsal/image/stream", params={"fal_jwt_token": TOKEN}, json={}),
        http.get("/health", headers={"Host": HOSTILE.replace("\n", " ").replace("\x9b", "")}),
        http.get("/proxy", headers={"x-fal-target-url": token}),
    ]
    return [answer.text for answer in answers]


def _mcp(http: httpx2.Client) -> list[str]:
    told = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    answers = []
    for name, arguments in (
        ("run_model", {"model": "rehearsal/edit", "arguments": {"prompt": "x", "image_url": URL}}),
        ("run_model", {"model": HOSTILE, "arguments": {"prompt": "x"}}),
        (HOSTILE.split("\n")[0], {"prompt": WRONG}),
    ):
        params = {"name": name, "arguments": arguments, "_meta": told}
        headers = {
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2026-07-28",
            "Mcp-Method": "tools/call",
            "Mcp-Name": name,
        }
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        answers.append(http.post("/mcp", json=body, headers=headers).text)
    return answers


def _ended(http: httpx2.Client, answers: list[str]) -> None:
    """Wait for the jobs among the answers to be over."""
    for text in answers:
        job = json.loads(text).get("request_id") if text.startswith('{"status":"IN_') else None
        while job:
            at = f"/queue/rehearsal/image/requests/{job}/status"
            if http.get(at).json()["status"] == "COMPLETED":
                break


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_secret_is_written_anywhere(
    child: Any, place: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setenv("MEDIA_MCP_API_KEY", API_KEY)
    monkeypatch.setenv("FAL_KEY", FAL_KEY)
    monkeypatch.setenv("HF_TOKEN", HUB)
    flags = ("--log-level", "debug", "--log-format", form)
    monkeypatch.setenv("MEDIA_MCP_LOG_LEVEL", flags[1])
    monkeypatch.setenv("MEDIA_MCP_LOG_FORMAT", flags[3])
    server = child("serve", "--http", "127.0.0.1:0", "--rehearse")
    url = server.line_of_stderr("listens on").split()[-1].removesuffix("/mcp")
    headers = {"Authorization": f"Key {API_KEY}"}
    with httpx2.Client(base_url=url, headers=headers, timeout=60) as http:
        answers = _calls(http)
        _ended(http, answers)
        mcp = _mcp(http)
        figures = http.get("/metrics").text
        jobs = http.get("/metrics").status_code
    ended = server.end(signal.SIGTERM)
    assert ended.code == 0 and jobs == 200
    assert len(mcp) == 3 and "Traceback" not in ended.err
    for secret in SECRETS:
        assert secret not in ended.err + ended.out, secret
        assert secret not in figures, secret
    with sqlite3.connect(place / "data" / "jobs.sqlite") as db:
        rows = "\n".join(db.iterdump())
    db.close()
    for secret in IN_ROWS:
        assert secret not in rows, secret
    lines = ended.err.splitlines()
    assert "\x1b" not in ended.err and "\x9b" not in ended.err
    if form == "json":
        assert all(json.loads(line)["level"] for line in lines)
    else:
        assert not [line for line in lines if "ERROR forged" in line and line.startswith("2026-01")]
