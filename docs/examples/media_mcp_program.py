"""A backend in one module: it runs a program of this machine for each job.

A route names the `program` and its `arguments`; in them, `{output}` is the file to write, `{seed}`
the job's seed, and `{name}` the argument of that name (for media: the path of the file).
"""

from __future__ import annotations

import mimetypes
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any

import anyio

from media_mcp.backends.base import Readiness, Run
from media_mcp.catalog.model import Model
from media_mcp.errors import BackendFailed, BadOutput
from media_mcp.job import Output, Quote, Result, Route
from media_mcp.settings import Settings

NAME = "program"


def create(settings: Settings) -> Program:
    """Make the backend: what the entry point names. Nothing may start here."""
    return Program()


class Program:
    """Runs programs, two at a time."""

    name = NAME
    concurrency = 2
    remote = False

    async def readiness(self) -> Readiness:
        return Readiness(ready=True)

    def quote(self, model: Model, route: Route, arguments: Mapping[str, Any]) -> Quote:
        """Say that it is free, and whether the route's program is there."""
        program = str(route.spec.get("program", ""))
        if shutil.which(program) is None:
            reason = f"The program {program!r} is not installed."
            return Quote(NAME, None, None, ready=False, reason=reason)
        return Quote(NAME, 0.0, 0.0, basis="A program on this machine is free.")

    async def run(self, run: Run) -> Result:
        """Run the program; cancelling this task kills it. Raises `BackendFailed`, `BadOutput`."""
        wanted = run.model.outputs[0]
        path = run.folder / f"output{mimetypes.guess_extension(wanted.mime_type) or ''}"
        words = {name: _word(run, value) for name, value in run.arguments.items()}
        words |= {"output": path, "seed": run.seed}
        command = [run.route.spec["program"]]
        command += [argument.format_map(words) for argument in run.route.spec["arguments"]]
        ended = await anyio.run_process(command, stdin=subprocess.DEVNULL, check=False)
        if ended.returncode:
            said = ended.stderr.decode(errors="replace").strip()[-300:]
            raise BackendFailed(f"{command[0]} failed: {said}", "Try it by hand.")
        if not path.is_file():
            raise BadOutput(f"{command[0]} wrote no file.", "Check `arguments` in the card.")
        return Result((Output(path, wanted.role, wanted.mime_type),), {"seed": run.seed})

    def warm(self) -> frozenset[str]:
        return frozenset()

    async def aclose(self) -> None:
        """Nothing outlives a job, so there is nothing to close."""


def _word(run: Run, value: Any) -> Any:
    """Return the file's path for a media argument, any other value as it is."""
    asset = run.inputs.get(value) if isinstance(value, str) else None
    return asset.path if asset else value
