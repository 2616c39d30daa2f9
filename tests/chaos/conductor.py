"""Runs plans: `conductor.py --runs 300 --seed 1`. Prints a line of JSON for each run.

Everything is imported once; each run, each server in it and the place that they go to are forks of
this process, which has one thread and no event loop: a start costs milliseconds, a kill nothing.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import importlib
import json
import logging
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
PR_SET_CHILD_SUBREAPER = 36
DISK = b"size=12m"
MOST_LIVES = 8
RUN_SECONDS = 90.0
_C = ctypes.CDLL(None, use_errno=True)


def private_mounts() -> bool:
    """Let this process mount disks that nobody else sees; False where the system does not."""
    if sys.platform != "linux":
        return False
    user, group = os.geteuid(), os.getegid()
    if _C.unshare(CLONE_NEWNS) != 0:
        if _C.unshare(CLONE_NEWNS | CLONE_NEWUSER) != 0:
            return False
        for name, line in (("setgroups", "deny"), ("uid_map", user), ("gid_map", group)):
            Path(f"/proc/self/{name}").write_text(line if name == "setgroups" else f"0 {line} 1")
    return _C.mount(b"none", b"/", None, 0x4000 | 0x40000, None) == 0  # MS_REC | MS_PRIVATE


def mounted(folder: Path) -> bool:
    return _C.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, DISK) == 0


def forked(work: Callable[[], None], log: Path | None = None) -> int:
    """Do something in a child, which ends with it; what it says goes to `log`."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        if log is not None:
            file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(file, 1)
            os.dup2(file, 2)
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


class Run:
    """One run, in a process of its own: the place, the servers one after the other, the check."""

    def __init__(self, seed: int, at: int, folder: Path, disks: bool) -> None:
        self.plan = plans.plan_of(seed, at)
        self.notes = folder
        self.folder = folder / "data"
        self.folder.mkdir()
        self.disk = disks and mounted(self.folder)
        self.wrong: list[str] = []
        self.kills = 0

    def report(self) -> dict[str, Any]:
        _C.prctl(PR_SET_CHILD_SUBREAPER, 1)
        began = time.monotonic()
        place = forked(lambda: bank.serve(self.notes / "ports"), self.notes / "place.log")
        try:
            site = self._site()
            self._live(site)
            book = bank.read_book(site.ask("GET", "/book"))
        finally:
            os.kill(place, signal.SIGKILL)
            os.waitpid(place, 0)
        self._nobody_left()
        found = self._check(book)
        facts = self._facts()
        if self.wrong or found.faults:
            shutil.copytree(self.folder, self.notes / "left", dirs_exist_ok=True)
        if self.disk:
            _C.umount2(os.fsencode(self.folder), 2)
        return {
            "seed": self.plan.seed,
            "seconds": round(time.monotonic() - began, 2),
            "disk": self.disk,
            "cpu": round(sum(os.times()[2:4]), 2),
            "kills": self.kills,
            "struck": [[fact["struck"], fact["fault"]] for fact in facts if "struck" in fact],
            "joined": sum(fact.get("joined", False) for fact in facts),
            **{name: value for name, value in vars(found).items() if name != "faults"},
            "faults": [*self.wrong, *found.faults],
        }

    def _site(self) -> lives.Site:
        ports = self.notes / "ports"
        until(ports.exists, 20)
        place, world = map(int, ports.read_text().split())
        return lives.Site(self.folder, self.notes, place, world, self.disk)

    def _live(self, site: lives.Site) -> None:
        """Start servers until one has seen everything through."""
        for life in range(MOST_LIVES):
            second, over = 0, self.notes / f"over-{life}"
            if self.plan.two:
                more, strikes = self.plan.more, self.plan.on_second
                second = self._server(site, "second", life, more, strikes, over)
                until(lambda pid=second: self._ready(pid), 20)  # type: ignore[misc]
            first = self._server(site, "first", life, self.plan.calls, self.plan.strikes)
            ends = [self._ended(first)]
            over.touch()
            if second:
                ends.append(self._ended(second))
            if not any(ends):
                return
        self.wrong.append(f"not done after {MOST_LIVES} lives")

    def _ready(self, second: int) -> bool:
        """Whether the second server is at work, or has met its end before that."""
        ended = os.waitid(os.P_PID, second, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        told = self.notes / "second.jsonl"
        return ended is not None or (told.exists() and '"ready"' in told.read_text())

    def _server(self, site: lives.Site, name: str, life: int, *given: Any) -> int:
        calls, strikes, *over = given
        struck = plans.lives(strikes, life)
        log = self.notes / f"{name}-{life}.log"
        return forked(lambda: lives.live(site, name, calls, struck, *over), log)

    def _ended(self, pid: int) -> int:
        """Wait for a server; being killed is its fate, anything else a fault."""
        _, status = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        if code == -signal.SIGKILL:
            self.kills += 1
        elif code not in (0, lives.NOT_NOW):
            self.wrong.append(f"a server ended with {code}")
        return code

    def _nobody_left(self) -> None:
        """Workers and decoders of a server that is gone end by themselves; they are ours now."""
        end = time.monotonic() + 10
        while time.monotonic() < end:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                time.sleep(0.005)
        self.wrong.append("a process of a dead server lives on")

    def _check(self, book: dict[str, Any]) -> chaoskit.Findings:
        lines = [chaoskit.Billed(*line) for line in book["lines"]]
        found = chaoskit.check_everything(self.folder, lines, billing=("paid", "twin"))
        self.wrong += [fact["wrong"] for fact in self._facts() if "wrong" in fact]
        for log in sorted(self.notes.glob("*-*.log")):
            if "Traceback" in (said := log.read_text()):
                self.wrong.append(f"{log.name}: {said[-3000:]}")
        return found

    def _facts(self) -> list[dict[str, Any]]:
        files = sorted(self.notes.glob("*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def until(met: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not met():
        if time.monotonic() > end:
            raise TimeoutError("nothing came of it")
        time.sleep(0.002)


def conduct(seed: int, at: int, base: Path, disks: bool, keep: bool) -> None:
    """Make one run and print what came of it."""
    folder = Path(tempfile.mkdtemp(prefix=f"{seed}-", dir=base))
    try:
        told = Run(seed, at, folder, disks).report()
    except BaseException:
        told = {"seed": seed, "faults": [traceback.format_exc()]}
    os.write(3, json.dumps(told).encode() + b"\n")
    if not told["faults"] and not keep:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--first", type=int, default=0, help="number of the first run")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=6)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--no-disk", action="store_true", help="refuse bytes instead")
    parser.add_argument("--keep", action="store_true", help="keep what the runs leave")
    options = parser.parse_args()
    disks = not options.no_disk and private_mounts()
    os.dup2(1, 3)
    os.environ["PYTHONPYCACHEPREFIX"] = str(options.folder / "compiled")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    prepare(options.folder)
    left = list(range(options.first, options.first + options.runs))
    running: set[int] = set()
    while left or running:
        if left and len(running) < options.at_once:
            at = left.pop(0)
            seed = options.seed * 10_000 + at
            running.add(
                forked(
                    lambda at=at, seed=seed: conduct(  # type: ignore[misc]
                        seed, at, options.folder, disks, options.keep
                    )
                )
            )
            continue
        pid, _ = os.waitpid(-1, 0)
        running.discard(pid)


def prepare(base: Path) -> None:
    """Import everything, and leave it alone: what nobody touches is not copied.

    What is imported late is found out by a run that goes before all others.
    """
    global bank, chaoskit, lives, plans
    import bank
    import chaoskit
    import lives
    import plans

    logging.basicConfig(level=logging.WARNING)
    names = base / "imported"
    os.waitpid(forked(lambda: rehearse(base, names)), 0)
    for name in names.read_text().split():
        with suppress(ImportError):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()


def rehearse(base: Path, names: Path) -> None:
    """Make a run in peace and write down what it has imported."""
    folder = Path(tempfile.mkdtemp(dir=base))
    place = forked(lambda: bank.serve(folder / "ports"), folder / "place.log")
    until((folder / "ports").exists, 20)
    ports = map(int, (folder / "ports").read_text().split())
    site = lives.Site(folder, folder, *ports, disk=False)
    calls = [plans.Call(n, kind, webhook=True) for n, kind in enumerate(("mask", "paid", "desk"))]
    before = set(sys.modules)
    try:
        lives.live(site, "first", calls, ())
    finally:
        names.write_text("\n".join(sorted(sys.modules.keys() - before)))
        os.kill(place, signal.SIGKILL)


if __name__ == "__main__":
    main()
