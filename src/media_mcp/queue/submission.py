"""What is asked of the queue, and the key by which a repeated ask is recognised."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from media_mcp import spans
from media_mcp.catalog.model import Model
from media_mcp.errors import InvalidArguments, Problem
from media_mcp.job import JSON, Arguments, Asset, Caller, Failure, Job, JobState, Route, Webhook
from media_mcp.queue.store import Join
from media_mcp.trail import Trail, named

JOINING_DOORS = ("mcp", "cli")
SEEDS = 2**31
_MAX_SEED_BITS = 63  # what a row holds
_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"


@dataclass(frozen=True, slots=True)
class Submission:
    """One call. `arguments` are validated and hold every default; media ones are `media://` URIs.

    `seed` is what the caller gave; None lets the queue draw one. `key` is the caller's own
    idempotency key. `backend` asks for one route. Only doors in `JOINING_DOORS` join without a key.
    `start_by` (Unix seconds), `private`, `lifetime` (seconds), `webhook`, `once` and `inline` are
    as in `Job`. `agreed` is what its user said it may cost, as `agreement` reads it; `trail` is
    that of the call.
    """

    model: Model
    arguments: Arguments
    caller: Caller
    door: str
    inputs: Mapping[str, Asset] = field(default_factory=dict)
    seed: int | None = None
    key: str | None = None
    fresh: bool = False
    backend: str | None = None
    priority: int = 0
    joinable: bool = True
    start_by: float | None = None
    private: bool = False
    lifetime: float | None = None
    webhook: Webhook | None = None
    once: bool = False
    inline: bool = False
    agreed: JSON = None
    trail: Trail = field(default_factory=lambda: named(spans.here()))

    def join(self) -> Join | None:
        """Return how this call finds an earlier one that it repeats; None if it never does."""
        if self.key is not None:
            return Join(f"own:{digest(self.key)}", self.fingerprint(), exact=True)
        if self.joinable and self.door in JOINING_DOORS:
            fingerprint = self.fingerprint()
            return Join(f"same:{fingerprint}", fingerprint, fresh=self.fresh)
        return None

    def fingerprint(self) -> str:
        """Hash what was asked and by whom; media count by their content, which is in their URI."""
        asked = [
            self.model.id,
            self.arguments,
            self.seed,
            self.caller.owner,
            self.caller.project,
        ]
        if self.backend is not None:
            asked.append(self.backend)
        return digest(canonical(asked))

    def job(self, route: Route, seed: int, why: str, quoted: float | None, now: float) -> Job:
        """Return the queued job of this call."""
        return Job(
            id=new_id(now),
            model=self.model.id,
            state=JobState.QUEUED,
            caller=self.caller,
            arguments=self.arguments,
            route=route,
            seed=seed,
            door=self.door,
            created_at=now,
            priority=self.priority,
            why_route=why,
            quoted=quoted,
            parents=tuple(self.inputs),
            start_by=self.start_by,
            private=self.private,
            lifetime=self.lifetime,
            webhook=self.webhook,
            once=self.once,
            inline=self.inline,
            request=self.trail.request,
            trace=self.trail.trace,
            pinned=self.backend is not None,
        )

    def refused(self, failure: Failure, facts: Mapping[str, JSON], now: float) -> Job:
        """Return the job of a call that cannot be run: it has failed as it came."""
        route = next(iter(self.model.routes), Route("none"))
        return replace(
            self.job(route, 0, "none: it was refused", None, now),
            state=JobState.FAILED,
            ended_at=now,
            seed=None,
            failure=failure,
            facts=facts,
        )


@dataclass(frozen=True, slots=True)
class Submitted:
    """The job of a call, and whether it is an earlier one that the call joined.

    `ahead` is how many jobs go before a new one, whichever server they came to.
    """

    job: Job
    joined: bool
    ahead: int = 0


def checked_seed(given: int | None) -> int:
    """Return the seed, drawn if none was given. Raises `InvalidArguments` for one out of range."""
    if given is None:
        return secrets.randbelow(SEEDS)
    if given.bit_length() > _MAX_SEED_BITS:
        bits = given.bit_length()
        problem = Problem("seed", f"has {bits} bits; the most is {_MAX_SEED_BITS}.")
        raise InvalidArguments([problem], "Leave seed out to have one drawn.")
    return given


def canonical(value: JSON) -> str:
    """Return JSON that is the same for equal values: keys sorted, no spaces, ASCII only."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=dict)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def new_id(now: float) -> str:
    """Return a job id: 18 letters and digits that sort by time and cannot be guessed."""
    return _spell(int(now * 1000), 9) + _spell(secrets.randbits(45), 9)


def _spell(number: int, length: int) -> str:
    return "".join(_LETTERS[number >> 5 * place & 31] for place in reversed(range(length)))
