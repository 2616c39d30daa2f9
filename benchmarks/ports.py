"""Ports of this machine: finding a free one, and waiting until a server listens there."""

from __future__ import annotations

import socket
import time

PATIENCE = 60.0  # seconds until a server must listen


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_for(port: int) -> None:
    """Return once somebody listens on `port`. Raises `TimeoutError`."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(f"Nobody listens on port {port}.")
