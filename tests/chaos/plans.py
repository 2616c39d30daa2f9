"""What a run does and what befalls it, all of it drawn from its seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from media_mcp.faultpoints import Point

Fault = Literal["server", "worker", "full", "locked", "clock", "gone"]
FAULTS: tuple[Fault, ...] = ("server", "worker", "full", "locked", "clock", "gone")
PAIRS = tuple((point, fault) for point in Point for fault in FAULTS)
HOUR = 3600.0
WARMING, SECOND = 50, 100  # numbers of calls

# Ways a call can go, and how often one comes along that nobody asked for.
KINDS = {
    "paid": 5,  # to the place that runs a call twice if it is sent twice
    "twin": 3,  # to one that knows it again
    "flaky": 2,  # fails there the first time
    "bad": 1,  # fails there for good, and has no other way
    "detour": 2,  # fails at one backend and goes on by another
    "desk": 4,  # a backend of this machine
    "spoilt": 1,  # comes out black, and is made again
    "tired": 1,  # fails here the first time
    "mask": 2,  # a tool in a worker process
    "show": 1,  # a longer one, which reads a picture
}
HOSTED = ("paid", "twin", "flaky", "bad", "detour")
NEEDS: dict[Point, str] = {
    Point.WORKER_STARTED: "mask",
    Point.ORDER_SENT: "mask",
    Point.REMOTE_ANNOUNCED: "paid",
    Point.REMOTE_SUBMITTED: "paid",
    Point.REMOTE_NOTED: "paid",
    Point.REMOTE_ENDED: "paid",
    Point.SECOND_TRY: "spoilt",
    Point.RETRY_WRITTEN: "tired",
    Point.REROUTE_WRITTEN: "detour",
}
RECOVERING = (Point.RECOVERY, Point.IN_RECOVERY, Point.RECOVERED)
LEAVING = (Point.BEFORE_LEAVE, Point.LEFT)
WEBHOOK = (Point.WEBHOOK_TAKEN, Point.WEBHOOK_TOLD)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a caller, who makes it again until they have the answer."""

    number: int
    kind: str
    door: str = "mcp"
    keyed: bool = False
    webhook: bool = False
    cancel: bool = False
    private: bool = False
    slow: bool = False


@dataclass(frozen=True, slots=True)
class Strike:
    """What happens when a server comes to a point for the nth time.

    `amount` is seconds: how long it lasts, or how far the clock jumps.
    """

    point: Point
    fault: Fault
    nth: int = 1
    amount: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """One run: the calls of each server, and the strikes of each life of the first one.

    With two servers, they share a folder, and the second lives through what befalls the first.
    """

    seed: int
    calls: tuple[Call, ...]
    strikes: tuple[Strike, ...]
    more: tuple[Call, ...] = ()
    on_second: tuple[Strike, ...] = ()

    @property
    def two(self) -> bool:
        return bool(self.more)


@dataclass
class Draw:
    """Draws with one generator, so that the same seed makes the same run."""

    seed: int
    dice: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)

    def call(self, number: int, kind: str = "", **given: bool) -> Call:
        dice = self.dice
        kind = kind or dice.choices(list(KINDS), list(KINDS.values()))[0]
        chances = {"keyed": 0.4, "webhook": 0.2, "cancel": 0.08, "private": 0.1, "slow": 0.15}
        drawn = {name: dice.random() < chance for name, chance in chances.items()}
        door = "queue" if drawn["keyed"] and dice.random() < 0.5 else "mcp"
        return Call(number, kind, door, **(drawn | given))

    def calls(self, *kinds: str, start: int = 0, most: int = 3) -> list[Call]:
        made = [self.call(start + n, kind) for n, kind in enumerate(kinds)]
        extra = self.dice.randint(0, max(0, most - len(made)))
        made += [self.call(start + len(made) + n) for n in range(extra)]
        return made

    def amount(self, fault: Fault) -> float:
        """Long enough to be noticed; of what can outlast our patience, both."""
        dice = self.dice
        if fault == "clock":
            return dice.choice((-30, -1, -0.01, 0.01, 1, 10)) * HOUR
        if fault == "gone":
            return dice.choice((0.05, 0.15, 1.2))
        if fault == "locked":
            return dice.choice((0.15, 0.3))
        return dice.choice((0.05, 0.3))

    def strike(self, point: Point, fault: Fault, nth: int = 1) -> Strike:
        return Strike(point, fault, nth, self.amount(fault))

    def any_strike(self) -> Strike:
        dice = self.dice
        fault = dice.choices(FAULTS, (5, 2, 2, 2, 2, 2))[0]
        return self.strike(dice.choice(list(Point)), fault, dice.choice((1, 1, 2, 3)))


def plan_of(seed: int, at: int) -> Plan:
    """Return the plan of a run; the first of them go through every point and every fault."""
    draw = Draw(seed)
    if at < len(PAIRS):
        return matrix(draw, *PAIRS[at])
    return mix(draw)


def matrix(draw: Draw, point: Point, fault: Fault) -> Plan:
    """Meet one point for certain, and have one fault there."""
    kinds = [NEEDS.get(point) or draw.dice.choice(("paid", "twin", "desk", "mask"))]
    if fault == "gone" and kinds[0] not in HOSTED:
        kinds.append("paid")
    calls = draw.calls(*kinds)
    first = replace(calls[0], cancel=False)
    if point in WEBHOOK:
        first = replace(first, webhook=True)
    if point is Point.CANCEL_ASKED:
        first = replace(first, cancel=True, slow=True)
    calls[0] = first
    if fault == "worker":  # one that lives, when the point is met
        calls.insert(0, Call(WARMING, "mask"))
    strike = draw.strike(point, fault)
    if point not in RECOVERING:
        return Plan(draw.seed, tuple(calls), (strike,))
    fallen = draw.strike(Point.STEP, "server")
    if fault == "worker":  # it lives in the other server, which takes over
        more = tuple(draw.calls("mask", start=SECOND))
        return Plan(draw.seed, tuple(calls), (fallen,), more, (strike,))
    return Plan(draw.seed, tuple(calls), (fallen, strike))


def mix(draw: Draw) -> Plan:
    """Anything: several calls, up to three lives that are struck, and perhaps a second server."""
    dice = draw.dice
    calls = draw.calls(most=4) or [draw.call(0)]
    strikes = [draw.any_strike() for _ in range(dice.choice((1, 2, 2, 3)))]
    if dice.random() < 0.5:
        return Plan(draw.seed, tuple(calls), tuple(strikes))
    more = draw.calls(start=SECOND, most=2) or [draw.call(SECOND)]
    second = [draw.any_strike()] if dice.random() < 0.5 else []
    return Plan(draw.seed, tuple(calls), tuple(strikes), tuple(more), tuple(second))


def lives(strikes: Sequence[Strike], life: int) -> list[Strike]:
    """Return what befalls a life: one strike each, and the rest of them live in peace."""
    return list(strikes[life : life + 1])
