"""What a backend handed back, looked into before it counts: findings, and whether to try again."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from media_mcp.catalog.model import Model
from media_mcp.errors import BadMedia, BadOutput
from media_mcp.job import JSON, Asset, Job, Output, Result
from media_mcp.queue.submission import SEEDS

if TYPE_CHECKING:
    from media_mcp.media import MediaStore
    from media_mcp.media.store import Draft

SPOILT = frozenset({"black", "flat", "transparent", "silent", "nan"})  # what another seed may mend

SHOWING = frozenset({"mcp"})  # doors whose answer to a job holds a preview


@dataclass(frozen=True, slots=True)
class Made:
    """A result with its files taken in as drafts; `error` says why they cannot be.

    `spoilt` tells what makes it worthless, if anything does. `job` holds the seed it was made with.
    """

    job: Job
    model: Model
    result: Result
    drafts: tuple[tuple[Output, Draft], ...] = ()
    findings: tuple[str, ...] = ()
    spoilt: str = ""
    error: BadOutput | None = None

    def discard(self) -> None:
        for _, draft in self.drafts:
            draft.discard()

    def after(self, note: str, cost: float | None) -> Made:
        """Return this as what is kept after another try; `cost` is that of the other."""
        made = replace(self.result, cost=_sum(self.result.cost, cost))
        return replace(self, result=made).noting(note)

    def noting(self, note: str) -> Made:
        """Return this with a finding that comes first, in the error's words where it has one."""
        if self.error is None:
            return replace(self, findings=(note, *self.findings))
        error = BadOutput(self.error.message, f"{note} {self.error.hint}".strip())
        return replace(self, error=error)


async def look_into(
    result: Result, job: Job, model: Model, inputs: Mapping[str, Asset], media: MediaStore
) -> Made:
    """Take the files of a result in and look at them. Raises `StorageFailed`."""
    from media_mcp.media.check import compare, read_wanted  # with the first job, not at start

    if model.outputs and not result.outputs and not result.facts:
        error = BadOutput(
            f"{job.route.backend} ended without an output.", "Try again, or another model."
        )
        return Made(job, model, result, spoilt=error.message, error=error)
    drafts: list[tuple[Output, Draft]] = []
    own = media.of(job.caller.owner)
    draw = job.door in SHOWING and len(result.outputs) == 1
    try:
        for output in result.outputs:
            drafts.append((output, await own.draft(output.path, output.mime_type, draw=draw)))
    except BadMedia as bad:  # the caller did not make this file
        _discard(drafts)
        error = BadOutput(bad.message, "Try again, or another model.")
        return Made(job, model, result, spoilt=bad.message, error=error)
    except BaseException:
        _discard(drafts)
        raise
    if not drafts:
        return Made(job, model, result)
    wanted = read_wanted(model, job.arguments, inputs)
    flaws = [flaw for _, draft in drafts for flaw in draft.flaws]
    told = [f.message for f in flaws if f.code != "silent_track" or not wanted.quiet]
    differs = compare(wanted, [(output.role, draft.facts) for output, draft in drafts])
    spoilt = next((flaw.message for flaw in flaws if flaw.code in SPOILT), "")
    findings = tuple(dict.fromkeys([*told, *differs]))
    return Made(job, model, result, tuple(drafts), findings, spoilt)


async def keep(made: Made, media: MediaStore) -> tuple[Asset, ...]:
    """Make assets of the drafts. Raises the error there is, and `StorageFailed`."""
    if made.error is not None:
        raise made.error
    about = provenance(made.job, made.model, made.result)
    name, own = readable_name(made.job, made.model), media.of(made.job.caller.owner)
    return tuple(
        [
            await own.keep(draft, role=output.role, name=name, provenance=about)
            for output, draft in made.drafts
        ]
    )


def better(first: Made, second: Made) -> Made:
    """Return the second try if it is sound, else the first; the other is thrown away."""
    seeds = first.job.seed, second.job.seed
    if second.spoilt:
        kept, other = first, second
        note = f"Made again with seed {seeds[1]}, no better: this is seed {seeds[0]}."
    else:
        kept, other = second, first
        note = f"Made again with seed {seeds[1]}. Seed {seeds[0]} gave: {first.spoilt}"
    other.discard()
    return kept.after(note, other.result.cost)


def _sum(one: float | None, other: float | None) -> float | None:
    """Return what two tries cost; None where that of one is not known."""
    return None if one is None or other is None else one + other


def another_seed(model: Model) -> int:
    """Draw a seed that the model takes."""
    param = model.param("seed")
    most = int(param.maximum) if param and param.maximum is not None else SEEDS - 1
    return secrets.randbelow(max(1, min(most, SEEDS - 1)) + 1)


def _discard(drafts: Sequence[tuple[Output, Draft]]) -> None:
    for _, draft in drafts:
        draft.discard()


def readable_name(job: Job, model: Model) -> str:
    """Name an output by its model and what was asked, unless that is private."""
    if job.private:
        return model.tool
    asked = next((job.arguments[k] for k in ("prompt", "text") if k in job.arguments), "")
    return f"{model.tool} {asked}".strip()[:200]


def provenance(job: Job, model: Model, result: Result) -> Mapping[str, JSON]:
    """Return what an output's sidecar says about where it came from."""
    return {
        "model": job.model,
        "arguments": {} if job.private else dict(job.arguments),
        "seed": job.seed,
        "backend": job.route.backend,
        "route": dict(job.route.spec),
        "parents": list(job.parents),
        "cost": result.cost,
        "licence": model.licence,
        "job": job.id,
        "attempt": job.attempt,
    }
