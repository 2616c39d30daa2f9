"""What the clients of a soak know: their own record, which the servers' has to agree with."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import count


@dataclass(eq=False)
class Ask:
    """One thing that a caller asked for, known by the `tag` in its prompt.

    `tries` is how often it was sent, and so how many jobs there may be of it: one if it is `once`
    (it carries an idempotency key), none if every try was `refused`. `ids` are those that answers
    named, `ended` the end that was told for an id, `cancelled` those whose cancelling was promised.
    """

    tag: str
    caller: str
    door: str
    model: str
    once: bool = False
    hook: bool = False
    tries: int = 0
    refused: int = 0
    failed: int = 0  # tries that were answered with an error of the server's own
    ids: set[str] = field(default_factory=set)
    ended: dict[str, str] = field(default_factory=dict)
    cancelled: set[str] = field(default_factory=set)


class Record:
    """All that was asked, and whatever was answered that must never be.

    `seen` counts answers by kind; `hooks` are the ends that webhooks told, by job.
    """

    def __init__(self, seed: int) -> None:
        self.asks: dict[str, Ask] = {}
        self.wrong: list[str] = []
        self.seen: Counter[str] = Counter()
        self.hooks: dict[str, list[str]] = {}
        self._seed = seed
        self._numbers = count(1)

    def ask(self, caller: str, door: str, model: str, *, once: bool = False) -> Ask:
        """Note that a caller is about to ask for something."""
        tag = f"soak-{self._seed}-{next(self._numbers)}"
        ask = self.asks[tag] = Ask(tag, caller, door, model, once=once)
        return ask

    def accepted(self, ask: Ask, job_id: str) -> None:
        """Note the id that an answer names."""
        ask.ids.add(job_id)
        if ask.once and len(ask.ids) > 1:
            self.wrong.append(f"one idempotency key, several jobs: {sorted(ask.ids)}")

    def end(self, ask: Ask, job_id: str, state: str) -> None:
        """Note how a job is said to have ended; it cannot end twice."""
        before = ask.ended.setdefault(job_id, state)
        if before != state:
            self.wrong.append(f"job {job_id} had {before} and was later told to have {state}")

    @property
    def acknowledged(self) -> int:
        return sum(len(ask.ids) for ask in self.asks.values())
