"""The result of a job: facts for programs, a few lines for people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from media_mcp.cli.text import clean, facts, say, say_json
from media_mcp.job import JSON, Asset, Job

_FOR_AGENTS = ("next", "assets", "assets_left_out", "text", "error")


def show_result(job: Job, paths: Sequence[Path], joined: bool, *, as_json: bool) -> None:
    """Print a job's result; `paths` are where the outputs lie, one for each asset."""
    if as_json:
        say_json(result_facts(job, paths, joined=joined))
    elif job.assets or job.facts.get("text"):
        _show_lines(job, paths)


def result_facts(job: Job, paths: Sequence[Path], *, joined: bool = False) -> dict[str, JSON]:
    """Return the facts that an agent gets, uncut, and where each output lies."""
    from media_mcp.server.answer import asset_facts, job_facts

    told = job_facts(job, joined=joined)
    result = {name: value for name, value in told.items() if name not in _FOR_AGENTS}
    result["assets"] = [
        asset_facts(asset) | ({} if asset.removed else {"path": str(path)})
        for asset, path in zip(job.assets, paths, strict=True)
    ]
    if "text" in job.facts:
        result["text"] = job.facts["text"]
    if job.failure:
        failure = job.failure
        result["error"] = {"code": failure.code, "message": failure.message, "hint": failure.hint}
    return result


def _show_lines(job: Job, paths: Sequence[Path]) -> None:
    for asset, path in zip(job.assets, paths, strict=True):
        say(f"{path}  {size_words(asset)}".rstrip())
    if isinstance(job.facts.get("text"), str):
        say(job.facts["text"])
    for finding in job.findings:
        say(f"note: {clean(finding)}")
    took = "" if job.seconds is None else f"{job.seconds:.2f} s"
    cost = "" if not job.cost else f"${job.cost:.4f}"
    seed = "" if job.seed is None else str(job.seed)
    facts([("job", job.id), ("route", job.route.backend), ("seed", seed), ("took", took)])
    facts([("cost", cost)])


def size_words(asset: Asset) -> str:
    """Return `256 x 256 px, 3.0 s, 12 kB`."""
    parts = []
    if asset.width and asset.height:
        parts.append(f"{asset.width} x {asset.height} px")
    if asset.duration is not None:
        parts.append(f"{asset.duration:.1f} s")
    return ", ".join([*parts, bytes_words(asset.size)])


def bytes_words(size: int) -> str:
    """Return a size in bytes, kB, MB or GB."""
    if size < 1000:
        return f"{size} bytes"
    value = float(size)
    for unit in ("kB", "MB"):
        value /= 1000
        if value < 1000:
            return f"{value:.3g} {unit}"
    return f"{value / 1000:.3g} GB"
