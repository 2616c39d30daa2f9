"""Whether the worker's Python has what pipelines need, found out without importing any of it."""

from __future__ import annotations

import json
import sys
from functools import lru_cache
from importlib.util import find_spec

import anyio

from media_mcp.backends.base import Readiness
from media_mcp.backends.local.environment import worker_environment
from media_mcp.errors import NotConfigured

NEEDED = ("torch", "diffusers", "transformers", "safetensors")
EXTRA = "media-mcp[local]"
_ASK = """
import json, sys
from importlib.util import find_spec
print(json.dumps([name for name in sys.argv[1:] if find_spec(name) is None]))
"""
_PATIENCE = 60.0


@lru_cache(maxsize=1)
def missing_here() -> tuple[str, ...]:
    """Return the needed packages that this Python lacks. Takes a millisecond; imports none."""
    return tuple(name for name in NEEDED if find_spec(name) is None)


async def missing_there(python: str, environment: dict[str, str]) -> tuple[str, ...]:
    """Ask another Python the same, and whether it has media-mcp. Raises `NotConfigured`."""
    command = [python, "-P", "-c", _ASK, "media_mcp", *NEEDED]
    what = f"worker_python {python!r}"
    hint = "Set worker_python to a Python that has media-mcp with its [local] extra, or empty it."
    try:
        with anyio.fail_after(_PATIENCE):
            asked = await anyio.run_process(command, env=environment, check=False)
        return tuple(json.loads(asked.stdout))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise NotConfigured(f"{what} cannot be started: {reason}.", hint) from None
    except (ValueError, TimeoutError):
        raise NotConfigured(f"{what} does not answer as Python does.", hint) from None


def unready(missing: tuple[str, ...], python: str = "") -> Readiness:
    """Say that packages are missing, and the command that brings them."""
    names = ", ".join(missing)
    if not python:
        return Readiness(False, f"Not installed: {names}.", f'Run: pip install "{EXTRA}"')
    return Readiness(False, f"{python} lacks {names}.", f'Run: {python} -m pip install "{EXTRA}"')


class Installation:
    """Which Python the worker runs in and whether it is whole; another Python is asked once."""

    def __init__(self, worker_python: str) -> None:
        self.python = worker_python or sys.executable
        self.is_ours = not worker_python or worker_python == sys.executable
        self._missing: tuple[str, ...] | None = None

    def environment(self, ours: dict[str, str]) -> dict[str, str]:
        """Return the environment that its worker gets."""
        return worker_environment(ours, same_python=self.is_ours)

    def missing(self) -> tuple[str, ...]:
        """Return what is missing as far as is known without asking another Python."""
        return missing_here() if self.is_ours else self._missing or ()

    async def readiness(self, ours: dict[str, str]) -> Readiness:
        """Say whether the worker could run pipelines."""
        try:
            if not self.is_ours and self._missing is None:
                self._missing = await missing_there(self.python, self.environment(ours))
        except NotConfigured as error:
            return Readiness(False, error.message, error.hint)
        return self.told()

    def told(self) -> Readiness:
        """Say the same from what is known by now."""
        missing = self.missing()
        return unready(missing, "" if self.is_ours else self.python) if missing else Readiness(True)
