"""Who may have how many connections, and what counts as progress."""

import resource
from dataclasses import dataclass, field

import pytest

from media_mcp.server.connections.bounds import Bounds, Guests, Progress, Seat, address_of
from media_mcp.settings import Settings


@dataclass
class Idle:
    """A connection that waits for a request."""

    idle_since: float | None
    seat: Seat | None
    closed: list[str] = field(default_factory=list)

    def make_room(self) -> None:
        assert self.seat is not None
        self.closed.append(self.seat.address)
        self.seat.leave()


def test_one_address_has_its_share_and_others_theirs() -> None:
    guests = Guests(Bounds(total=10, per_address=2), lambda: 9.0, list)
    seats = [guests.admit("192.0.2.1") for _ in range(3)]
    assert [seat is not None for seat in seats] == [True, True, False]
    assert guests.admit("192.0.2.2") is not None
    assert seats[0] is not None
    seats[0].leave()
    seats[0].leave()  # twice counts once
    assert guests.admit("192.0.2.1") is not None
    assert guests.admit("192.0.2.1") is None


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "127.8.8.8", "::ffff:127.0.0.1", ""])
def test_this_machine_is_bounded_by_the_total_alone(peer: str) -> None:
    guests = Guests(Bounds(total=5, per_address=5 if not peer else 1), lambda: 9.0, list)
    assert all(guests.admit(peer) for _ in range(5))
    assert guests.admit(peer) is None


def test_a_crowded_address_makes_room_among_its_own() -> None:
    idlers: list[Idle] = []
    guests = Guests(Bounds(total=10, per_address=1), lambda: 9.0, lambda: idlers)
    for since, peer in ((1.0, "192.0.2.9"), (2.0, "192.0.2.1")):
        idlers.append(Idle(since, guests.admit(peer)))
    assert guests.admit("192.0.2.1") is not None
    assert [one.closed for one in idlers] == [[], ["192.0.2.1"]]


def test_what_has_just_come_is_not_closed_for_another() -> None:
    idlers: list[Idle] = []
    guests = Guests(Bounds(total=1), lambda: 9.0, lambda: idlers)
    idlers.append(Idle(8.5, guests.admit("192.0.2.1")))
    assert guests.admit("192.0.2.2") is None and not idlers[0].closed


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("::1", "::1"),
    ],
)
def test_an_ipv6_network_counts_as_one_address(peer: str, address: str) -> None:
    assert address_of(peer) == address


def test_progress_is_measured_over_a_while_and_not_at_each_look() -> None:
    body = Progress(Bounds(stall_seconds=10, rate=100))
    body.begin(0.0, 0)
    assert not body.stalled(5.0, 0)
    assert not body.stalled(10.0, 1000)
    assert body.stalled(20.0, 1999)


def test_what_is_left_to_write_must_shrink_or_vanish() -> None:
    answer = Progress(Bounds(stall_seconds=10, rate=100))
    assert not answer.stuck(0.0, 5000)
    assert not answer.stuck(10.0, 4000)
    assert not answer.stuck(15.0, 0)
    assert not answer.stuck(20.0, 10)
    assert answer.stuck(30.0, 10)


def test_the_settings_bound_connections_and_so_do_the_files_that_may_be_open() -> None:
    bounds = Bounds.of(Settings(max_connections=7, max_connections_per_address=3))
    assert (bounds.total, bounds.per_address) == (7, 3)
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert Bounds.of(Settings(max_connections=10**9)).total <= soft // 2
