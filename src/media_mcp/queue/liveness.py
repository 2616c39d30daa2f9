"""Who this process is, and whether another one still lives."""

from __future__ import annotations

import os
import secrets
import socket
import sys
from pathlib import Path

from media_mcp.queue.store import Instance

BEAT_SECONDS = 2.0
STALE_SECONDS = 15.0
PROC = Path("/proc")


def this_instance() -> Instance:
    pid = os.getpid()
    return Instance(secrets.token_hex(8), pid, this_host(), process_start(pid) or "")


def this_host() -> str:
    """Name the machine and, on Linux, the pid namespace: containers share neither pids nor this."""
    try:
        namespace = str((PROC / "self/ns/pid").readlink())
    except OSError:
        namespace = ""
    return f"{socket.gethostname()} {namespace}".strip()


def process_start(pid: int) -> str | None:
    """Return when a process of this host started (empty: unknown), or None if it is gone.

    On Linux the answer holds the boot id and the start in clock ticks, so that another process
    with the same pid, or the same pid after a reboot, does not pass for it. A zombie is gone.
    """
    if (PROC / "self/stat").exists():
        return _linux_start(pid)
    return _portable_start(pid)


def _linux_start(pid: int) -> str | None:
    try:
        stat = (PROC / f"{pid}/stat").read_text(errors="replace")
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    # The name, field 2, may hold spaces and brackets; what follows its last bracket does not.
    fields = stat.rpartition(")")[2].split()
    state, start = fields[0], fields[19]
    return None if state in "ZX" else f"{boot}:{start}"


def _portable_start(pid: int) -> str | None:
    if sys.platform == "win32":  # there, signal 0 would end the process
        return ""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return ""


def dead(instance: Instance, now: float, *, hung: bool = True) -> bool:
    """Whether an instance with jobs in hand is gone: its process ended, or its heartbeat did.

    Unless `hung` counts, a process of this host that is seen to live is given time for its next
    beat: after a jump of the clock all heartbeats are old.
    """
    if instance.host == this_host():
        start = process_start(instance.pid)
        if start is None or (start and instance.started and start != instance.started):
            return True
        if start and not hung:
            return False
    return now - instance.heartbeat > STALE_SECONDS
