"""Whether the worker's Python has what pipelines need, found out without importing any of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec

import anyio

from media_mcp.backends.base import Readiness
from media_mcp.backends.local.environment import worker_environment
from media_mcp.backends.local.environments import Environment
from media_mcp.errors import NotConfigured

_ASK = """
import json, sys
from importlib.util import find_spec
print(json.dumps([name for name in sys.argv[1:] if find_spec(name) is None]))
"""
_PATIENCE = 60.0


@lru_cache(maxsize=100)
def missing_here(needs: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of the needed modules that this Python lacks, in a millisecond; imports none."""
    return tuple(name for name in needs if find_spec(name) is None)


async def missing_there(
    python: str, needs: Sequence[str], environment: dict[str, str]
) -> tuple[str, ...]:
    """Ask another Python the same. Raises `NotConfigured`."""
    command = [python, "-P", "-c", _ASK, *needs]
    what = f"worker_python {python!r}"
    hint = f"Set worker_python to a Python that has {', '.join(needs)}, or empty it."
    try:
        with anyio.fail_after(_PATIENCE):
            asked = await anyio.run_process(command, env=environment, check=False)
        return tuple(json.loads(asked.stdout))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise NotConfigured(f"{what} cannot be started: {reason}.", hint) from None
    except (ValueError, TimeoutError):
        raise NotConfigured(f"{what} does not answer as Python does.", hint) from None


class Installation:
    """Which Python a place's workers run in and whether it is whole; another one is asked once.

    `needs` are the modules that its pipelines import and `extra` is the one of media-mcp's that
    brings them. With an `own` environment, that counts.
    """

    def __init__(
        self,
        worker_python: str,
        needs: Sequence[str],
        extra: str,
        own: Environment | None = None,
    ) -> None:
        self.is_ours = own is None and worker_python in ("", sys.executable)
        self.extra = extra
        self._python = worker_python or sys.executable
        self._own = own
        self._needs = tuple(needs)
        self._missing: tuple[str, ...] | None = None

    @property
    def command(self) -> tuple[str, ...]:
        """What starts a Python program in it: -P and -I keep the working folder's modules out."""
        return (str(self._own.python), "-I") if self._own else (self._python, "-P")

    @property
    def python(self) -> str:
        """The path of that Python."""
        return self.command[0]

    def environment(self, ours: dict[str, str]) -> dict[str, str]:
        """Return the environment variables that its worker gets."""
        return worker_environment(ours, same_python=self.is_ours)

    def missing(self) -> tuple[str, ...]:
        """Return what is missing as far as is known without asking another Python."""
        if self._own is not None:
            return ()
        return missing_here(self._needs) if self.is_ours else self._missing or ()

    async def readiness(self, ours: dict[str, str]) -> Readiness:
        """Say whether the worker could run pipelines."""
        try:
            if not self.is_ours and self._own is None and self._missing is None:
                environment = self.environment(ours)
                self._missing = await missing_there(self._python, self._needs, environment)
        except NotConfigured as error:
            return Readiness(False, error.message, error.hint)
        return self.told()

    def told(self) -> Readiness:
        """Say the same from what is known by now."""
        if self._own is not None:
            return self._own.readiness()
        missing = self.missing()
        return self._unready(missing) if missing else Readiness(True)

    def _unready(self, missing: Sequence[str]) -> Readiness:
        names = ", ".join(missing)
        package = f'"media-mcp[{self.extra}]"' if self.extra else "media-mcp"
        if self.is_ours:
            return Readiness(False, f"Not installed: {names}.", f"Run: pip install {package}")
        fix = f"Run: {self._python} -m pip install {package}"
        return Readiness(False, f"{self._python} lacks {names}.", fix)
