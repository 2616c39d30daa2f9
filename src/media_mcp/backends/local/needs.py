"""What a route needs besides its pipeline, by its spec's `needs`: a program, Python packages."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from importlib.util import find_spec

from media_mcp.backends.base import Readiness
from media_mcp.job import JSON


def unmet(
    spec: Mapping[str, JSON], environment: Mapping[str, str], extra: str, *, ours: bool
) -> Readiness:
    """Say what a route lacks: `needs: {program: NAME, fix: HOW}`, `needs: {packages: [NAME]}`.

    Packages are looked for in this Python only, so not where the worker has another (not `ours`).
    """
    needs = spec.get("needs") or {}
    program = needs.get("program")
    if program and shutil.which(str(program), path=environment.get("PATH")) is None:
        return Readiness(False, f"the program {program} is not installed.", needs.get("fix", ""))
    missing = [name for name in needs.get("packages", ()) if ours and find_spec(name) is None]
    if missing:
        fix = f'Run: pip install "media-mcp[{extra}]"'
        return Readiness(False, f"not installed: {', '.join(missing)}.", fix)
    return Readiness(True)
