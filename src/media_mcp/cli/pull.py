"""`media-mcp pull`: fetches the weights of a model's local routes, once their licence is shown."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial

from media_mcp.backends.local.pulling import Here, Listed, Puller, Want, is_local
from media_mcp.backends.local.wants import wants_of
from media_mcp.backends.local.weights import hub_cache
from media_mcp.catalog.catalog import Catalog
from media_mcp.catalog.model import Model
from media_mcp.cli.fetching import showing
from media_mcp.cli.outcome import ExitCode, complain
from media_mcp.cli.result import bytes_words
from media_mcp.cli.rooms import run_async
from media_mcp.cli.text import clean, say, say_json, table
from media_mcp.errors import BadInput, NotConfigured, NotFound, Refused, StorageFailed
from media_mcp.job import JSON, Route
from media_mcp.queue.routing import rules_of
from media_mcp.settings import Settings

# Licences under which anybody may use weights for anything; to others a yes is asked for.
FREE = frozenset(
    {"MIT", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "CC0-1.0", "CC-BY-4.0"}
)
SPARE = 2**28  # bytes of disk that stay free
OFF = frozenset({"", "0", "false", "no", "off"})


@dataclass(frozen=True, slots=True)
class Way:
    """How to pull: `yes` accepts the licence, `dry_run` only shows, `check` compares digests."""

    yes: bool = False
    dry_run: bool = False
    check: bool = False
    as_json: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """A model, its routes on this machine, what these need and their licences in words."""

    model: Model
    routes: tuple[Route, ...]
    wants: tuple[Want, ...]

    @property
    def licences(self) -> tuple[str, ...]:
        told = [route.licence or self.model.licence for route in self.routes]
        return tuple(dict.fromkeys(told))


def pull(settings: Settings, name: str, way: Way) -> int:
    """Fetch what is absent; 1 is returned where something is wrong in the end.

    Raises `NotFound`, `BadInput`, `Refused`, `NotConfigured` and `StorageFailed`.
    """
    return run_async(partial(_pull, settings, name, way))


async def _pull(settings: Settings, name: str, way: Way) -> int:
    wanted = _wanted(Catalog.load(settings.catalog_dirs, settings.doubted_dirs), name)
    if not wanted.wants:
        places = ", ".join(str(route.spec.get("weights") or "none") for route in wanted.routes)
        say(f"There is nothing to fetch for {wanted.model.id}; its weights: {places}.")
        return ExitCode.OK
    puller = Puller(wanted.routes[0].backend, settings)
    if way.check:
        with showing() as hear:
            return _told(wanted.model, await puller.checked(wanted.wants, hear), way)
    _check_open(settings)
    listed = await puller.listed(wanted.wants)
    if way.dry_run:
        return _list_files(listed, way)
    return await _fetch(puller, wanted, listed, way)


async def _fetch(puller: Puller, wanted: Wanted, listed: Sequence[Listed], way: Way) -> int:
    absent = sum(_absent(one) for one in listed)
    if absent:
        if not way.as_json:
            _show(wanted, listed)
        _check_disk(absent)
        _ask(wanted, way)
    with showing() as hear:
        return _told(wanted.model, await puller.fetched(wanted.wants, hear), way)


def _wanted(catalog: Catalog, name: str) -> Wanted:
    model = _model(catalog, name)
    routes = tuple(route for route in model.routes if is_local(route.backend))
    if not routes:
        others = ", ".join(model.alternatives)
        hint = f"Models with open weights that can stand in: {others}." if others else ""
        raise BadInput(
            f"{model.id} has no route on this machine, so there are no weights to fetch.",
            hint or "List those that have one: media-mcp models --provider 'open weights'",
        )
    found = dict.fromkeys(want for route in routes for want in wants_of(route.spec))
    return Wanted(model, routes, tuple(found))


def _model(catalog: Catalog, name: str) -> Model:
    """Return the model of this id or tool name, or the first that needs this repository."""
    try:
        return catalog.get(name)
    except NotFound:
        for model in catalog:
            if any(want.repo == name for route in model.routes for want in wants_of(route.spec)):
                return model
        raise


def _check_open(settings: Settings) -> None:
    rules = rules_of(settings, settings.project)
    if rules.offline:
        raise Refused(
            f"Nothing is fetched: {rules.setting('offline')} is set.",
            "Unset it for the pull, or bring the weights by hand and name their folder in a card.",
        )
    if os.environ.get("HF_HUB_OFFLINE", "").lower() not in OFF:
        raise NotConfigured(
            "HF_HUB_OFFLINE is set, so the hub is not asked.", "Unset it for the pull."
        )


def _absent(listed: Listed) -> int:
    return sum(listed.sizes[path] for path in listed.absent)


def _show(wanted: Wanted, listed: Sequence[Listed]) -> None:
    say(f"{wanted.model.id}: {wanted.model.title}")
    say(f"Licence: {', '.join(wanted.licences) or 'unknown'}")
    rows = []
    for want, one in zip(wanted.wants, listed, strict=True):
        whole = sum(one.sizes.values())
        cells = want.repo, want.role, one.licence, str(len(one.sizes)), bytes_words(whole)
        rows.append((*cells, bytes_words(_absent(one))))
    table(("REPOSITORY", "FOR", "HUB SAYS", "FILES", "SIZE", "TO FETCH"), rows)


def _list_files(listed: Sequence[Listed], way: Way) -> int:
    if way.as_json:
        say_json([asdict(one) for one in listed])
        return ExitCode.OK
    for one in listed:
        say(f"{one.repo} at {one.commit}")
        rows = [
            (clean(path), bytes_words(size), "absent" if path in one.absent else "here")
            for path, size in one.sizes.items()
        ]
        table(("FILE", "SIZE", ""), rows)
    say(f"To fetch: {bytes_words(sum(_absent(one) for one in listed))}.")
    return ExitCode.OK


def _check_disk(absent: int) -> None:
    """Raise `StorageFailed` where the disk of the hub's cache has too little room."""
    folder = hub_cache(dict(os.environ))
    there = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(there).free
    if free < absent + SPARE:
        raise StorageFailed(
            f"{bytes_words(absent)} are to be fetched and {there} has {bytes_words(free)} free.",
            "Free some space, or set HF_HOME to a folder on a larger disk.",
        )


def _ask(wanted: Wanted, way: Way) -> None:
    """Have the licence accepted, unless it is a free one. Raises `Refused`."""
    odd = [licence for licence in wanted.licences if licence not in FREE]
    if way.yes or not odd:
        return
    named = ", ".join(odd) or "unknown"
    if not sys.stdin.isatty():
        raise Refused(
            f"The licence of {wanted.model.id} is {named}: it must be accepted.",
            "Read it, and pull with --yes.",
        )
    from typer import confirm

    if not confirm(f"Do you accept the licence ({named})?", err=True):
        raise Refused("The licence was not accepted; nothing is fetched.")


def _told(model: Model, here: Sequence[Here], way: Way) -> int:
    """Say what lies where, and what is wrong with it."""
    wrong = [(one.repo, path, why) for one in here for path, why in one.wrong.items()]
    if way.as_json:
        told: JSON = {"model": model.id, "repositories": [asdict(one) for one in here]}
        say_json(told)
    else:
        for one in here:
            say(f"{one.repo}: {one.files} files, {bytes_words(one.size)} in {one.folder}")
    for repo, path, why in wrong:
        complain(clean(f"{repo}{'/' if path else ''}{path} {why}."))
    if wrong:
        complain(f"{model.id} cannot run like this.", f"Run: media-mcp pull {model.id}")
    return ExitCode.FAILED if wrong else ExitCode.OK
