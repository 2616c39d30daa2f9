"""Finds routes for the jobs of one queue: as they come, and when a route has failed them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from media_mcp.catalog.model import Model
from media_mcp.errors import (
    BackendFailed,
    BadInput,
    BadOutput,
    ContentRefused,
    MaybeSpent,
    NotConfigured,
    NotFound,
    OverBudget,
    Refused,
)
from media_mcp.job import Arguments, Asset, Caller, Job, Quote, Result
from media_mcp.queue import policy
from media_mcp.queue.agreement import check_agreed
from media_mcp.queue.batching import batch_of
from media_mcp.queue.budget import Limit, Need, need, pace
from media_mcp.queue.failures import billed
from media_mcp.queue.policy import History, Look, Wanted
from media_mcp.queue.routing import (
    REHEARSAL,
    Backends,
    Rules,
    ban,
    forbid_leaving,
    goes_away,
    key_of,
    leaves,
    rules_of,
)
from media_mcp.queue.store import Claim, Detour
from media_mcp.queue.submission import Submission

if TYPE_CHECKING:
    from media_mcp.settings import Settings

LONGEST_REASON = 80  # characters of a failure in `why_route`; its event tells it in full
_INSTEAD = 3  # models that are named in another's place


class Router:
    """Applies the rules of the settings to this queue's backends."""

    def __init__(
        self,
        settings: Settings,
        backends: Backends,
        model_of: Callable[[str], Model],
        history: History,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._backends = backends
        self._model_of = model_of
        self._history = history
        self._clock = clock

    def rules(self, caller: Caller | None = None) -> Rules:
        """Return the rules for a caller; without one, for those of this server."""
        project = caller.project if caller else self._settings.project
        return rules_of(self._settings, project)

    async def choose(self, submission: Submission) -> policy.Choice:
        """Return the route for a call.

        Raises `InvalidArguments`, `NotConfigured` if no route is ready, and `Refused` if the rules
        forbid them all, with what may run instead, or if it costs more than may be spent unasked.
        """
        rules = self.rules(submission.caller)
        if submission.webhook is not None:
            what = "A webhook would tell of this job elsewhere"
            forbid_leaving(rules, what, "Leave it out and ask for the result.")
        wanted = self._wanted(
            submission.model, submission.arguments, submission.inputs, submission.backend, rules
        )
        try:
            choice = await policy.choose(wanted, self._backends, self._history)
        except Refused as error:
            raise Refused(error.message, f"{await self._instead(wanted)} {error.hint}") from None
        limit = self._settings.confirm_above
        check_agreed(choice.quote, limit, submission.agreed, submission.door)
        return choice

    async def quotes(
        self,
        model: Model,
        arguments: Arguments | None,
        inputs: Mapping[str, Asset],
        backend: str | None,
        *,
        timed: bool,
        caller: Caller | None,
    ) -> tuple[Quote, ...]:
        """Quote the routes of a model, in the order in which they would be tried."""
        rules = self.rules(caller)
        wanted = self._wanted(model, arguments, inputs, backend, rules)
        known = timed or rules.prefer == "fastest"  # else it would not be the order of `choose`
        return await policy.quotes(wanted, self._backends, self._history if known else None)

    async def ready_backends(self) -> frozenset[str] | None:
        """Return the names of the backends that can and may run jobs; None: all is rehearsed."""
        if self._settings.rehearse:
            return None
        closed = self.rules().closed
        names = [name for name, b in self._backends.items() if not (closed and leaves(b))]
        told = {name: await self._backends[name].readiness() for name in names}
        return frozenset(name for name, readiness in told.items() if readiness.ready)

    def check(self, claim: Claim, model: Model) -> None:
        """Raise `Refused` if the rules, which may be others by now, forbid the job its route."""
        job = claim.job
        rules, route = self.rules(job.caller), job.route
        away = goes_away(route, self._backends)
        found = ban(rules, model, route, away, claim.inputs)
        if found is not None:
            at = f" Its request there is {job.remote_id}, which may be billed."
            raise Refused(
                f"{model.id} may not run on {route.backend} any more ({found.why})."
                f"{at if job.remote_id else ''}",
                f"{found.fix} Or take another model or backend.",
            )

    async def held_up(self, job: Job) -> str:
        """Return why a queued job does not run on this server for now; empty if it will."""
        backend = self._backends.get(job.route.backend)
        if backend is None:
            return f"{job.route.backend} is not set up on this server"
        rules = self.rules(job.caller)
        if leaves(backend) and rules.closed:
            name = "offline" if rules.offline else "keep_here"
            return f"{rules.setting(name)} forbids {job.route.backend}"
        told = await backend.readiness()
        return "" if told.ready else f"{job.route.backend}: {told.reason.rstrip('.')}"

    async def after(self, claim: Claim, error: Exception, spent: bool) -> Detour | str:
        """Return the route that a job goes on by, or what to tell of a route that was not taken.

        That is empty where there is none. `spent`: money may have been spent on the attempt.
        """
        job = claim.job
        if job.pinned or job.once or job.route.backend == REHEARSAL or not at_fault(error):
            return ""
        model, rules = self._model_of(job.model), self.rules(job.caller)
        wanted = self._wanted(model, job.arguments, claim.inputs, None, rules)
        tried = frozenset({*job.tried, key_of(job.route)})
        found = await policy.looks(
            replace(wanted, tried=tried), self._backends, self._history, every=True
        )
        ready = [look for look in found if look.quote.ready]
        if not ready or spent:
            return _paid(job, ready[0]) if ready else ""
        agreed = next((look for look in ready if self._agreed(look.quote, job)), None)
        if agreed is None:
            return _dear(job, ready[0])
        try:
            needed = self.need(job.caller, agreed.quote)
        except OverBudget as over:
            return f"{agreed.route.backend} could run it, but {over.message}"
        batch = self.batch(model, replace(job, route=agreed.route))
        return replace(_detour(job, agreed, error, rules), need=needed, batch=batch)

    def batch(self, model: Model, job: Job) -> str | None:
        """Return what a job has in common with those that can run as one with it."""
        backend = self._backends.get(job.route.backend)
        return batch_of(backend, model, job.route, job.arguments, job.caller.project)

    def need(self, caller: Caller, quote: Quote) -> Need:
        """Return what a job sets aside. Raises `OverBudget` where its price cannot be known."""
        return need(self._settings, caller, quote, self._clock())

    def pace(self, caller: Caller) -> Need:
        """Return what even a call that is refused keeps to."""
        return pace(self._settings, caller)

    def limits(self, caller: Caller) -> tuple[Limit, ...]:
        """Return what limits the jobs of a caller."""
        return need(self._settings, caller, Quote("none", 0.0, 0.0), self._clock()).limits

    def _agreed(self, quote: Quote, job: Job) -> bool:
        """Tell whether a route costs no more than may be spent without asking, or was agreed to."""
        limit = self._settings.confirm_above
        if limit is None:
            return True
        return quote.high is not None and quote.high <= max(limit, job.quoted or 0.0)

    def _wanted(
        self,
        model: Model,
        arguments: Arguments | None,
        inputs: Mapping[str, Asset],
        backend: str | None,
        rules: Rules,
    ) -> Wanted:
        return Wanted(
            model,
            arguments,
            inputs,
            backend,
            self._settings.rehearse,
            rules,
            gpu_rate=self._settings.gpu_rate,
        )

    async def _instead(self, wanted: Wanted) -> str:
        """Return what may run where the rules forbid what is wanted."""
        anywhere = replace(wanted, backend=None)
        if wanted.backend is not None and (backend := await self._runs(anywhere)):
            return f"Leave backend out to run it on {backend}."
        names: list[str] = []
        for name in wanted.model.alternatives:
            with suppress(NotFound):  # a card may name what this catalog has not
                other = Wanted(self._model_of(name), rules=wanted.rules)
                names += [name] if await self._runs(other) else []
            if len(names) == _INSTEAD:
                break
        return f"Use {' or '.join(names)}, which can run now." if names else policy.OTHERS

    async def _runs(self, wanted: Wanted) -> str:
        """Return the backend that would run it now; empty if none would."""
        quote = policy.best(await policy.quotes(wanted, self._backends))
        return quote.backend if quote else ""


def at_fault(error: Exception) -> bool:
    """Tell whether a failure is the route's: not the call's, not a rule's, and not a bug."""
    return isinstance(error, BackendFailed | NotConfigured)


def may_be_spent(
    job: Job, error: Exception, remote_id: str | None, result: Result | None = None
) -> bool:
    """Tell whether an attempt that failed may have cost money.

    `remote_id` is what the backend has told by now, `result` what it handed back, if it did.
    """
    if (
        isinstance(error, MaybeSpent) or job.cost or billed(error)
    ):  # or an earlier try had its price
        return True
    if result is not None and result.cost is not None:
        return result.cost > 0
    return job.quoted != 0 and (bool(remote_id) or result is not None)


def may_be_billed(error: Exception, remote_id: str | None, result: Result | None) -> bool:
    """Tell whether nobody knows what a job that failed costs.

    That is so of a request there (`remote_id`) that did not fail by its place's own word.
    """
    if result is not None or isinstance(error, MaybeSpent):
        return (result is None or result.cost is None) and billed(error) is None
    failed_there = isinstance(error, BackendFailed | ContentRefused | BadInput)
    told = failed_there and not isinstance(error, BadOutput)
    return bool(remote_id) and not told and billed(error) is None


def _detour(job: Job, look: Look, error: Exception, rules: Rules) -> Detour:
    reason = " ".join(str(getattr(error, "message", error)).split()).rstrip(".")
    short = reason if len(reason) <= LONGEST_REASON else f"{reason[: LONGEST_REASON - 1]}…"
    failed, chosen = job.route.backend, f"next by prefer={rules.prefer}"
    return Detour(
        look.route,
        look.quote.high,
        f"{look.route.backend}: {failed} failed ({short}); {chosen}",
        f"{failed} failed ({error}); {chosen}",
        key_of(job.route),
    )


def _paid(job: Job, other: Look) -> str:
    return (
        f"{job.route.backend} may have to be paid for it, so {other.route.backend} was not tried. "
        f"{_call(job, other)}"
    )


def _dear(job: Job, other: Look) -> str:
    high = other.quote.high
    price = "at a price nobody knows" if high is None else f"for up to ${high:.2f}"
    return (
        f"{other.route.backend} could run it {price}, which is more than was agreed to. "
        f"{_call(job, other)}"
    )


def _call(job: Job, other: Look) -> str:
    backend = other.route.backend
    call = f"run_model(model={job.model!r}, arguments=…, backend={backend!r})"
    return f"To run it there: {call}, or --backend {backend}."
