"""Finds a Python for an environment: ours if its version fits, else one on the PATH."""

from __future__ import annotations

import json
import operator
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from media_mcp.errors import NotConfigured

Version = tuple[int, ...]
OLDEST, NEWEST = (3, 11), (3, 20)  # the worker's code needs 3.11
_CLAUSE = re.compile(r"(>=|<=|==|!=|<|>) *(3(?:\.\d{1,2})?)(\.\*)?")
_COMPARE: dict[str, Callable[[Version, Version], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
_ASK = "import json, sys, venv; print(json.dumps([*sys.version_info[:2]]))"
_PATIENCE = 20.0


def clauses(spec: str) -> list[tuple[str, Version]]:
    """Read `>=3.11,<3.13`. Raises `ValueError` for what is no such list."""
    found = [_CLAUSE.fullmatch(part.strip()) for part in spec.split(",") if part.strip()]
    if not all(found):
        raise ValueError(f"{spec!r} is no list of Python versions such as '>=3.11,<3.13'")
    return [(one[1], tuple(map(int, one[2].split(".")))) for one in found if one]


def fits(version: Version, spec: str) -> bool:
    """Tell whether `spec` allows a Python, as (3, 12), and the worker's code can use it."""
    wanted = clauses(spec)
    return version >= OLDEST and all(_COMPARE[how](version[: len(v)], v) for how, v in wanted)


def find_python(spec: str) -> str:
    """Return the path of a Python that fits. Raises `NotConfigured` with those looked for."""
    looked: list[str] = []
    for path in _candidates(spec):
        version = version_of(path)
        looked.append(f"{path} ({'.'.join(map(str, version)) if version else 'does not run'})")
        if version and fits(version, spec):
            return path
    raise NotConfigured(
        f"There is no Python {spec} here: {', '.join(looked) or 'no version can fit'}.",
        "Install one so that it is on the PATH, or install uv, which fetches one.",
    )


def _candidates(spec: str) -> Iterator[str]:
    minor = range(OLDEST[1], NEWEST[1])
    names = [f"python3.{n}" for n in reversed(minor) if fits((3, n), spec)]
    if fits(sys.version_info[:2], spec):
        yield _base()
    for name in names:
        if (path := shutil.which(name)) is not None:
            yield path


def _base() -> str:
    """Return the Python that ours was made from, if it is one of an environment."""
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    path = Path(sys.base_prefix) / "bin" / name
    return str(path) if path.exists() else sys.executable


def version_of(path: str) -> Version | None:
    """Return a Python's version; None if it does not run, or cannot make environments."""
    try:
        asked = subprocess.run(
            [path, "-I", "-c", _ASK], capture_output=True, timeout=_PATIENCE, check=True
        )
        return tuple(json.loads(asked.stdout))
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
