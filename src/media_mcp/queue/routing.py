"""What a project's jobs may do, and which of a model's routes goes first."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from media_mcp.backends.base import Backend
from media_mcp.catalog.model import Model
from media_mcp.catalog.pricing import is_hosted
from media_mcp.catalog.schema import holds_media
from media_mcp.errors import Refused
from media_mcp.job import Asset, Quote, Route
from media_mcp.settings import FILE_NAME
from media_mcp.tables import KeepHere, Prefer

if TYPE_CHECKING:
    from media_mcp.settings import Settings

REHEARSAL = "rehearsal"
BY_QUOTE = ("cheapest", "fastest")
_NAMES = ("prefer", "offline", "licences", "keep_here")
Backends = Mapping[str, Backend]


@dataclass(frozen=True, slots=True)
class Rules:
    """What the jobs of `project` keep to; `own` are the settings that its own table holds."""

    prefer: Prefer = "card"
    offline: bool = False
    licences: Sequence[str] = ()
    keep_here: KeepHere = "nothing"
    project: str = "default"
    own: frozenset[str] = frozenset()

    @property
    def binding(self) -> bool:
        """Whether they forbid anything at all."""
        return self.offline or bool(self.licences) or self.keep_here != "nothing"

    @property
    def closed(self) -> bool:
        """Whether no job may run anywhere but on this machine."""
        return self.offline or self.keep_here == "everything"

    def setting(self, name: str) -> str:
        """Return where a rule was set: `offline`, or `projects.films.offline`."""
        return f"projects.{self.project}.{name}" if name in self.own else name


@dataclass(frozen=True, slots=True)
class Ban:
    """Why a rule forbids something, and the setting that says so."""

    why: str
    setting: str

    @property
    def fix(self) -> str:
        return f"Only {self.setting} in {FILE_NAME} can allow it."


def rules_of(settings: Settings, project: str) -> Rules:
    """Return the rules for a project's jobs: those of its own table count over the others."""
    told = {name: getattr(settings, name) for name in _NAMES}
    table = settings.projects.get(project)
    found = {name: getattr(table, name) for name in _NAMES} if table else {}
    own = {name: value for name, value in found.items() if value is not None}
    return Rules(**told | own, project=project, own=frozenset(own))


def usable(backends: Backends, settings: Settings) -> dict[str, Backend]:
    """Return the backends that some project's jobs may run on; what waits for the others waits on.

    Not even work that runs elsewhere already is looked after while the rules forbid it.
    """
    some = [rules_of(settings, project) for project in settings.projects]
    open_to_some = not all(rules.closed for rules in [rules_of(settings, ""), *some])
    return {name: b for name, b in backends.items() if open_to_some or not leaves(b)}


def leaves(backend: Backend) -> bool:
    """Tell whether jobs of a backend leave this machine; of one that does not tell, they may."""
    return bool(getattr(backend, "remote", True))


def goes_away(route: Route, backends: Backends) -> bool:
    """Tell whether jobs leave this machine by a route; of a place not set up, its card tells."""
    backend = backends.get(route.backend)
    return is_hosted(route) if backend is None else leaves(backend)


def brings_media(model: Model, inputs: Mapping[str, Asset]) -> bool:
    """Tell whether a call has media inputs, be it only because its model cannot do without."""
    return bool(inputs) or any(param.required and holds_media(param) for param in model.inputs)


def ban(
    rules: Rules, model: Model, route: Route, remote: bool, inputs: Mapping[str, Asset]
) -> Ban | None:
    """Return what forbids running a model by a route; None if nothing does."""
    if not rules.binding:
        return None
    if remote and rules.offline:
        setting = rules.setting("offline")
        return Ban(f"{setting} = true forbids what leaves this machine", setting)
    if remote and _kept(rules, model, inputs):
        setting = rules.setting("keep_here")
        return Ban(f'{setting} = "{rules.keep_here}" keeps it on this machine', setting)
    licence = route.licence or model.licence
    if route.backend != REHEARSAL and not allowed(licence, rules.licences):
        setting = rules.setting("licences")
        return Ban(f"its licence, {licence or 'unknown'!r}, is none of {setting}", setting)
    return None


def _kept(rules: Rules, model: Model, inputs: Mapping[str, Asset]) -> bool:
    if rules.keep_here == "inputs":
        return brings_media(model, inputs)
    return rules.keep_here == "everything"


def allowed(licence: str, patterns: Sequence[str]) -> bool:
    """Tell whether a licence is among those allowed; without any pattern, all are."""
    return not patterns or any(_matches(licence, pattern) for pattern in patterns)


def _matches(text: str, pattern: str) -> bool:
    """`*` is any text and `?` any character; brackets are themselves: licences hold some."""
    glob = re.escape(pattern.strip()).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(glob, text.strip(), re.IGNORECASE | re.DOTALL) is not None


def forbid_leaving(rules: Rules, what: str, instead: str) -> None:
    """Raise `Refused` if the rules are offline; `what` would leave this machine."""
    if rules.offline:
        setting = rules.setting("offline")
        raise Refused(
            f"{what}, which {setting} = true forbids.",
            f"{instead} Only {setting} in {FILE_NAME} can allow it.",
        )


def arranged(routes: Sequence[Route], prefer: Prefer, backends: Backends) -> Sequence[Route]:
    """Put routes in the order in which they are to be looked at, as far as that is known."""
    if prefer not in ("local", "hosted"):
        return routes
    away = prefer == "local"
    return sorted(routes, key=lambda r: goes_away(r, backends) is away)


def rank(quote: Quote, prefer: Prefer) -> tuple[bool, float]:
    """Return what quotes are sorted by, the best first; what is not known comes last."""
    value = {"cheapest": quote.high, "fastest": quote.seconds}.get(prefer, 0.0)
    return value is None, value or 0.0


def key_of(route: Route) -> str:
    """Return what tells a route from another of the same model, whatever its price."""
    spec = json.dumps(route.spec, sort_keys=True, default=_plain)
    return f"{route.backend} {hashlib.sha256(spec.encode()).hexdigest()[:12]}"


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)
