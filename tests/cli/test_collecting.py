"""How a server looks for garbage: not in what stays, and seldom in all that its clients hold."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import pytest

from media_mcp.cli.serve import End, _open
from media_mcp.settings import load_settings

CROWD = """
import gc
from media_mcp.cli.outcome import serving
{before}
held = []
class Call:
    pass
gone = []
for number in range(20_000):
    held.append([[] for _ in range(20)])
    call = Call()
    call.itself = call
print(gc.get_stats()[2]["collections"], sum(type(each) is Call for each in gc.get_objects()))
"""


class Unhurried(End):
    """The end of a server that is not a process of its own: it has no deadline."""

    def begin(self) -> None: ...


class Ajar:
    """A door through which one looks at what is searched for garbage while a server serves."""

    url = ""

    def __init__(self) -> None:
        self.searched: set[int] = set()
        self.inside: set[int] = set()
        self.on = False

    def stop(self) -> None: ...

    async def serve(self, server, app) -> None:
        self.searched = {id(each) for each in gc.get_objects()}
        self.inside = {id(app), id(app.catalog), id(app.queue), id(server)}
        self.on = gc.isenabled()


@pytest.fixture(autouse=True)
def thresholds():
    usual = gc.get_threshold()
    yield
    gc.set_threshold(*usual)


@pytest.mark.anyio
async def test_what_a_server_has_opened_is_not_searched_for_garbage(place: Path):
    door = Ajar()
    await _open(load_settings(), door, Unhurried(), False)
    assert door.on and door.searched and door.inside
    assert not door.searched & door.inside


def crowded(before: str) -> tuple[int, int]:
    """Have clients come and hold what they hold, in a fresh process; return how often all was
    searched, and how many calls that are over are still there.
    """
    code = CROWD.format(before=before)
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    searches, left = told.stdout.split()
    return int(searches), int(left)


def test_a_server_searches_all_seldom_and_what_is_over_is_found_all_the_same():
    usual, _ = crowded("")
    searches, left = crowded("serving()")
    assert searches < usual
    assert left < 2_000
