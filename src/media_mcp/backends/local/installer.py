"""Makes environments: an empty one, then its packages by uv if there is one, else by pip."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from media_mcp.backends.local.environments import Environment
from media_mcp.backends.local.interpreters import OLDEST, find_python, version_of
from media_mcp.errors import NotConfigured

Say = Callable[[str], None]
_KEPT = 40  # last lines of an installer, of which one says what went wrong
_LONGEST = 300
_FULL = "No space left on device"
_WORTH_TELLING = (
    "Collecting",
    "Processing",
    "Downloading",
    "Building",
    "Installing",
    "Using cached",
    "Resolved",
    "Prepared",
    "Installed",
    "Downloaded",
    "Created",
)
_PACKAGES = """
import importlib.util as u, sys
print(*(n for n in sys.argv[1:] if u.find_spec(n) is None))
"""


def create(environment: Environment, needs: Sequence[str], say: Say) -> None:
    """Make an environment anew; `needs` are the modules that must be there in the end.

    Raises `NotConfigured` with what failed and what to do; nothing is left of it then.
    """
    with environment.alone():
        folder = environment.folder
        shutil.rmtree(folder, ignore_errors=True)
        try:
            _make(environment, say)
            _install(environment, say)
            _check(environment, needs)
            version = version_of(str(environment.python)) or ()
            environment.mark(".".join(map(str, version)))
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise _failed(environment, error.strerror or str(error)) from None
        except BaseException:  # an interrupt, too
            shutil.rmtree(folder, ignore_errors=True)
            raise


def _make(environment: Environment, say: Say) -> None:
    environment.folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    spec, uv = environment.profile.python, shutil.which("uv")
    if uv:
        say(f"Making {environment.folder} with uv, Python {spec}.")
        fit = f"{spec},>={'.'.join(map(str, OLDEST))}"
        _run(environment, [uv, "venv", "--quiet", "--python", fit, environment.folder], say)
        return
    python = find_python(spec)
    say(f"Making {environment.folder} from {python}.")
    venv = [python, "-I", "-m", "venv", *(["--without-pip"] if _has_pip() else [])]
    _run(environment, [*venv, environment.folder], say)


def _install(environment: Environment, say: Say) -> None:
    profile, folder = environment.profile, environment.folder
    wanted, bounds = folder / "requirements.txt", folder / "constraints.txt"
    wanted.write_text("\n".join(profile.requirements) + "\n")
    bounds.write_text("\n".join(profile.constraints) + "\n")
    options: list[str | Path] = ["--requirement", wanted, "--constraint", bounds]
    for index in profile.indexes:
        options += ["--extra-index-url", index]
    _run(environment, [*_installer(environment), *options], say)


def _installer(environment: Environment) -> list[str | Path]:
    python = environment.python
    if uv := shutil.which("uv"):
        return [uv, "pip", "install", "--python", python]
    quiet = ["--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    if _has_pip():  # ours installs into the other, which saves it a pip of its own
        return [sys.executable, "-m", "pip", "--python", python, "install", *quiet]
    return [python, "-m", "pip", "install", *quiet]


def _has_pip() -> bool:
    return find_spec("pip") is not None


def missing_in(environment: Environment, needs: Sequence[str]) -> list[str]:
    """Return those of the modules that an environment lacks. Raises `NotConfigured`."""
    command = [str(environment.python), "-I", "-c", _PACKAGES, *needs]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        fix = f"Run: media-mcp env create {environment.name}"
        raise NotConfigured(f"The Python {environment.python} does not run.", fix) from None
    return asked.stdout.split()


def _check(environment: Environment, needs: Sequence[str]) -> None:
    if missing := missing_in(environment, needs):
        raise _failed(environment, f"what was installed brings no module {', '.join(missing)}")


def _run(environment: Environment, command: Sequence[str | Path], say: Say) -> None:
    """Run a step, tell what is worth it of its lines, and raise what it says of its failure."""
    last: deque[str] = deque(maxlen=_KEPT)
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    ) as process:
        try:
            for line in process.stdout or ():
                last.append(line.strip())
                if last[-1].startswith(_WORTH_TELLING):
                    say(last[-1][:_LONGEST])
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise _failed(environment, _reason(last))


def _reason(lines: Sequence[str]) -> str:
    """Return the line that says what went wrong: that of a full disk, an error's, the last one."""
    full = [line for line in lines if _FULL in line]
    errors = [line for line in lines if line.lower().startswith("error")]
    said = [line for line in lines if line]
    found = next(iter([*full, *reversed(errors), *reversed(said)]), "it said nothing")
    return found.removeprefix("ERROR: ").removeprefix("error: ")[:_LONGEST].rstrip(".")


def _failed(environment: Environment, why: str) -> NotConfigured:
    if _FULL in why:
        hint = f"Free some space on the disk of {environment.home.parent}, then run it again."
    else:
        hint = (
            f"Look at [environment] in backends/{environment.name}/backend.toml, and whether "
            "packages can be fetched from here; then run it again."
        )
    return NotConfigured(f"The environment {environment.name} could not be made: {why}.", hint)
