"""On which terms jobs wait and are taken, whoever's they are: shares, caps and room."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from media_mcp.backends import registry
from media_mcp.catalog.model import Model
from media_mcp.errors import BadSettings, NotFound, did_you_mean

if TYPE_CHECKING:
    from media_mcp.settings import Settings

NORMAL, LOW = 0, -1  # priorities that callers can ask for
TURN = 2**20  # how far a job moves its caller's next turn, where the weight is 1: whole numbers
RISE_SECONDS = 600.0
# A caller can have so many jobs waiting for each place that is left: alone nine tenths of a queue.
SHARE = 9


class Full(Exception):
    """No place is left to wait in: `waiting` jobs do, `own` of them the caller's.

    `setting` is the name of what allows `most`; `backend` is empty where that is of all of them.
    """

    def __init__(self, waiting: int, own: int, most: int, setting: str, backend: str) -> None:
        super().__init__(waiting, own, most, setting, backend)
        self.waiting = waiting
        self.own = own
        self.most = most
        self.setting = setting
        self.backend = backend


@dataclass(frozen=True, slots=True)
class Terms:
    """How the jobs of several callers share what runs them.

    `weights` are those of owners, 1 where none is told. `models` and `backends` say how many jobs
    may run at once, over every server on the data folder. A job that has waited for `rise_seconds`
    goes with those of the highest priority. `most` jobs may wait in all, and `most_for` a backend.
    """

    weights: Mapping[str, float] = field(default_factory=dict)
    models: Mapping[str, int] = field(default_factory=dict)
    backends: Mapping[str, int] = field(default_factory=dict)
    rise_seconds: float = RISE_SECONDS
    most: int | None = None
    most_for: Mapping[str, int] = field(default_factory=dict)

    @property
    def capped(self) -> bool:
        """Whether jobs may have to wait though a slot is free."""
        return bool(self.models or self.backends)

    def step(self, owner: str) -> int:
        """Return how far a job of an owner's moves their next turn."""
        return max(1, round(TURN / self.weights.get(owner, 1.0)))

    def at_once(self, backend: str, model: str) -> int | None:
        """Return how many jobs of a model may run at once on a backend, if that is bounded."""
        told = (self.models.get(model), self.backends.get(backend))
        return min((most for most in told if most is not None), default=None)


FREE = Terms()  # no caps, no bounds, no weights


def terms_of(
    settings: Settings, model_of: Callable[[str], Model], backends: Collection[str]
) -> Terms:
    """Return what the settings say. Raises `BadSettings` for a model or backend there is not."""
    places = settings.backends
    if unknown := places.keys() - {*backends}:
        _check_backends(unknown, registry.names())
    models = {_model_id(name, model_of): rules.at_once for name, rules in settings.models.items()}
    return Terms(
        {owner: rules.weight for owner, rules in settings.callers.items() if rules.weight != 1},
        {name: most for name, most in models.items() if most is not None},
        {name: rules.at_once for name, rules in places.items() if rules.at_once is not None},
        settings.rise_seconds,
        settings.max_queued,
        {name: rules.max_queued for name, rules in places.items() if rules.max_queued is not None},
    )


def _model_id(name: str, model_of: Callable[[str], Model]) -> str:
    try:
        return model_of(name).id
    except NotFound as error:
        raise BadSettings(f"Setting models.{name}: {error.message}", error.hint) from None


def _check_backends(told: Collection[str], known: Collection[str]) -> None:
    for name in sorted(told):
        if name not in known:
            hint = did_you_mean(name, sorted(known)) or f"There are: {', '.join(sorted(known))}."
            raise BadSettings(f"Setting backends.{name}: there is no such backend.", hint)
