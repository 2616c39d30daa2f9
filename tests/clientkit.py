"""The real server with HTTPS as a child process, a proxy that leads to it, and running scripts."""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

from certificates import Certificate

MEDIA_MCP = Path(sys.executable).with_name("media-mcp")
KEY = "id:secret"
RUN_S = 100


@dataclass(frozen=True, slots=True)
class Server:
    """A server that listens on `url` and keeps its data in `data`."""

    url: str
    data: Path
    certificate: Path

    def get(self, url: str) -> tuple[int, bytes, dict[str, str]]:
        """Fetch a URL of the server, whatever host it names, without a key."""
        path = re.sub(r"^https?://[^/]+", "", url)
        context = ssl.create_default_context(cafile=str(self.certificate))
        try:
            with urllib.request.urlopen(self.url + path, context=context, timeout=30) as answer:
                return answer.status, answer.read(), dict(answer.headers)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read(), dict(error.headers)


@contextmanager
def serving(folder: Path, certificate: Certificate, *flags: str) -> Iterator[Server]:
    """Serve from a child process. What it says must hold no traceback."""
    tls = ["--tls-cert", str(certificate.cert), "--tls-key", str(certificate.key)]
    command = [MEDIA_MCP, "serve", "--http", "127.0.0.1:0", "--data-dir", str(folder), *tls, *flags]
    environment = {**os.environ, "XDG_CONFIG_HOME": str(folder), "MEDIA_MCP_API_KEY": KEY}
    with subprocess.Popen(
        command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        said = [process.stderr.readline()]
        listening = re.search(r"(https://\S+)/mcp", said[0])
        reader = Thread(target=said.extend, args=(process.stderr,))
        reader.start()
        try:
            assert listening, said
            yield Server(listening[1], folder, certificate.cert)
        finally:
            process.terminate()
            code = process.wait(20)
            reader.join()
    assert (code, "Traceback" in "".join(said)) == (0, False), "".join(said)


@contextmanager
def tunnelled(server: Server) -> Iterator[str]:
    """Yield the address of a proxy whose every tunnel ends at the server, wherever it should."""
    port = int(server.url.rpartition(":")[2])
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        Thread(target=_accept, args=(listener, port), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def _accept(listener: socket.socket, port: int) -> None:
    with suppress(OSError):  # closed: the tests are over
        while True:
            client, _ = listener.accept()
            Thread(target=_join, args=(client, port), daemon=True).start()


def _join(client: socket.socket, port: int) -> None:
    with client, socket.create_connection(("127.0.0.1", port)) as server, suppress(OSError):
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(4096)
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        back = Thread(target=_pour, args=(server, client), daemon=True)
        back.start()
        _pour(client, server)
        back.join()


def _pour(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(2**16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def run_script(command: list[str], environment: dict[str, str], folder: Path) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def lines(told: str) -> list[Any]:
    return [json.loads(line) for line in told.splitlines()]
