"""Whether a route's weights are on this machine: paths are looked at, and nothing is fetched."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from media_mcp.backends.base import Readiness
from media_mcp.job import JSON
from media_mcp.worker.protocol import PIPELINES

EMBEDDED = "embedded:"
_HUB_ID = re.compile(r"^[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}$")
_INDEX = "model_index.json"
_MODULAR = "modular_model_index.json"
_INDEXES = (_INDEX, _MODULAR, "config.json")  # of pipelines of several models, of a single one
_READY = Readiness(True)
_ELSEWHERE = "Take another route, or a newer media-mcp."
_WEIGHTLESS = ("tools",)


def readiness(
    spec: Mapping[str, JSON],
    environment: Mapping[str, str],
    makes: str = "image",
    model: str = "",
) -> Readiness:
    """Say whether a worker with `environment` can run a route of `model`: its pipeline, what it
    `makes`, its weights."""
    pipeline = str(spec.get("pipeline", ""))
    if pipeline not in PIPELINES:
        known = ", ".join(PIPELINES)
        reason = f"the worker has no pipeline {pipeline[:40]!r}, only {known}."
        return Readiness(False, reason, _ELSEWHERE)
    if makes not in PIPELINES[pipeline]:
        reason = f"the worker's pipeline {pipeline!r} does not run this one: it makes {makes}."
        return Readiness(False, reason, _ELSEWHERE)
    if pipeline in _WEIGHTLESS:
        return _READY
    told = (_found(wanted, spec, environment, model) for wanted in _wanted(spec))
    return next((one for one in told if not one.ready), _READY)


def _wanted(spec: Mapping[str, JSON]) -> Iterator[str]:
    yield str(spec.get("weights", ""))
    for more in ("companions", "components"):
        yield from map(str, (spec.get(more) or {}).values())
    for lora in spec.get("loras", ()):
        yield str(lora["path"])


def _found(
    weights: str, spec: Mapping[str, JSON], environment: Mapping[str, str], model: str
) -> Readiness:
    main = weights == spec.get("weights")
    if weights.startswith(EMBEDDED):
        return _READY
    path = Path(os.path.expanduser(weights))  # noqa: PTH111 (pathlib's raises for unknown users)
    if path.is_absolute():
        there = _holds_a_model(path) if main else path.exists()
        return _READY if there else _absent_here(path)
    if not is_hub_id(weights):
        reason = f"weights: {weights[:80]!r} is no embedded:NAME, absolute path or ORG/NAME."
        return Readiness(False, reason, "Mend the card.")
    revision = str(spec.get("revision") or "main") if main else "main"
    folder = snapshot(hub_cache(environment), weights, revision)
    return _READY if folder and _whole(folder) else _absent(weights, model or weights, spec)


def is_hub_id(weights: str) -> bool:
    """Whether `weights` has the form of a repository on the hub: ORG/NAME."""
    return bool(_HUB_ID.match(weights))


def _holds_a_model(folder: Path) -> bool:
    return any((folder / one).is_file() for one in _INDEXES) or any(folder.glob("*.safetensors"))


def _absent_here(path: Path) -> Readiness:
    return Readiness(
        False, f"there are no weights at {path}.", "Put them there, or change the card."
    )


def _absent(repo: str, name: str, spec: Mapping[str, JSON]) -> Readiness:
    needs = spec.get("memory_gb")
    size = f" (they take about {needs:g} GB of memory)" if isinstance(needs, int | float) else ""
    reason = f"the weights {repo} are not on this machine{size}."
    return Readiness(False, reason, f"Run: media-mcp pull {name}")


def hub_cache(environment: Mapping[str, str]) -> Path:
    """Return the folder in which the Hugging Face libraries keep what they fetched."""
    if cache := environment.get("HF_HUB_CACHE"):
        return Path(cache).expanduser()
    home = environment.get("HF_HOME")
    if not home:
        base = environment.get("XDG_CACHE_HOME") or "~/.cache"
        home = f"{base}/huggingface"
    return Path(home).expanduser() / "hub"


def snapshot(cache: Path, repo: str, revision: str) -> Path | None:
    """Return the folder of a repository's files as of a revision, or None if there is none."""
    kept = cache / f"models--{repo.replace('/', '--')}"
    reference = kept / "refs" / revision
    commit = reference.read_text().strip() if reference.is_file() else revision
    folder = kept / "snapshots" / commit
    return folder if commit and folder.is_dir() else None


def _whole(folder: Path) -> bool:
    """Whether nothing is missing: a download may have stopped half way."""
    index = next((one for one in (_INDEX, _MODULAR) if (folder / one).is_file()), None)
    if index is None:
        return any(folder.iterdir())
    parts = [name for name, value in _read(folder / index).items() if _is_component(value)]
    there = [part for part in parts if index == _INDEX or (folder / part).is_dir()]
    return all((folder / part).is_dir() and _has_shards(folder / part) for part in there)


def _is_component(value: JSON) -> bool:
    return isinstance(value, list) and bool(value) and value[0] is not None


def _has_shards(part: Path) -> bool:
    """Whether, of weights that come in several files, one set is complete."""
    sets = [_read(index).get("weight_map", {}) for index in part.glob("*.index.json")]
    return not sets or any(all((part / f).exists() for f in set(one.values())) for one in sets)


def _read(path: Path) -> dict[str, JSON]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
