"""Rows to value objects and back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from sqlite3 import Row
from typing import Any

from media_mcp.job import (
    JSON,
    Asset,
    Caller,
    Event,
    Failure,
    Job,
    JobState,
    MediaKind,
    Price,
    PriceCase,
    Route,
    Webhook,
)
from media_mcp.queue.holdings import removed_words

MAX_TEXT = 2000


def dumps(value: JSON) -> str:
    return json.dumps(value, default=_plain, separators=(",", ":"))


def _plain(value: object) -> JSON:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def text(value: str) -> str:
    """Cut a message to what a row holds, and make it something that SQLite can bind."""
    return value[:MAX_TEXT].encode("utf-8", "replace").decode()


def dump_asset(asset: Asset) -> str:
    return dumps(
        [
            asset.uri,
            asset.path,
            asset.kind,
            asset.mime_type,
            asset.size,
            asset.width,
            asset.height,
            asset.duration,
            asset.role,
        ]
    )


def load_asset(dumped: str, held: Row | None = None) -> Asset:
    """Read an asset; `held` has when it was pinned, when it was removed and why."""
    uri, path, kind, *rest = json.loads(dumped)
    asset = Asset(uri, Path(path), MediaKind(kind), *rest)
    if held is None or not (held["pinned_at"] or held["removed_at"]):
        return asset
    removed = removed_words(held["removed_at"], held["removed_by"])
    return replace(asset, removed=removed, pinned=bool(held["pinned_at"]))


def dump_route(route: Route) -> str:
    return dumps([route.backend, route.spec, _price_parts(route.price), route.licence])


def load_route(dumped: str) -> Route:
    """Read a route; what rows of earlier versions do not hold has its default."""
    backend, spec, price, *licence = json.loads(dumped)
    return Route(backend, spec, _load_price(*price) if price else None, *licence)


def _price_parts(price: Price | None) -> JSON:
    if price is None:
        return None
    cases = [[case.when, case.amount, case.first] for case in price.cases]
    known = [price.amount, price.unit, price.certainty, price.as_of]
    return [*known, price.first, cases, price.note]


def _load_price(*parts: JSON) -> Price:
    known, cases, note = parts[:5], parts[5:6], parts[6:7]
    return Price(*known, *(tuple(PriceCase(*case) for case in given) for given in cases), *note)


def dump_failure(failure: Failure | None) -> str | None:
    if failure is None:
        return None
    return dumps([failure.code, text(failure.message), text(failure.hint)])


def load_failure(dumped: str | None) -> Failure | None:
    return Failure(*json.loads(dumped)) if dumped else None


def load_job(row: Row, assets: Iterable[Asset] = ()) -> Job:
    return Job(
        id=row["id"],
        model=row["model"],
        state=JobState(row["state"]),
        caller=Caller(row["owner"], row["project"]),
        arguments=json.loads(row["arguments"]),
        route=load_route(row["route"]),
        seed=row["seed"],
        door=row["door"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        attempt=row["attempt"],
        priority=row["priority"],
        step=row["step"],
        total=row["total"],
        message=row["message"],
        why_route=row["why_route"],
        remote_id=row["remote_id"],
        assets=tuple(assets),
        facts=json.loads(row["facts"]),
        findings=tuple(json.loads(row["findings"])),
        cost=row["cost"],
        quoted=row["quoted"],
        failure=load_failure(row["failure"]),
        parents=tuple(json.loads(row["parents"])),
        start_by=row["start_by"],
        private=bool(row["private"]),
        lifetime=row["lifetime"],
        webhook=Webhook(*json.loads(row["webhook"])) if row["webhook"] else None,
        pinned=bool(row["pinned"]),
        tried=tuple(json.loads(row["tried"])),
        once=bool(row["once"]),
        batch=row["batch"],
        gpu_quoted=row["gpu_quoted"],
        gpu_seconds=row["gpu_seconds"],
        inline=bool(row["inline"]),
        request=row["request"],
        trace=row["trace"],
    )


def dump_job(job: Job) -> dict[str, Any]:
    """Return the columns of a job that has just been submitted, or refused as it was."""
    return {
        "id": job.id,
        "owner": job.caller.owner,
        "project": job.caller.project,
        "model": job.model,
        "state": job.state,
        "door": job.door,
        "arguments": dumps(job.arguments),
        "seed": job.seed,
        "backend": job.route.backend,
        "route": dump_route(job.route),
        "why_route": text(job.why_route),
        "quoted": job.quoted,
        "priority": job.priority,
        "rank": job.priority,
        "created_at": job.created_at,
        "parents": dumps(job.parents),
        "start_by": job.start_by,
        "private": job.private,
        "lifetime": job.lifetime,
        "webhook": dumps([job.webhook.url, job.webhook.base]) if job.webhook else None,
        "pinned": job.pinned,
        "tried": dumps(job.tried),
        "once": job.once,
        "batch": job.batch,
        "gpu_quoted": job.gpu_quoted,
        "inline": job.inline,
        "request": job.request,
        "trace": job.trace,
        "ended_at": job.ended_at,
        "facts": dumps(job.facts),
        "failure": dump_failure(job.failure),
    }


def load_event(row: Row) -> Event:
    return Event(
        row["id"], row["seq"], row["at"], row["kind"], row["step"], row["total"], row["message"]
    )
