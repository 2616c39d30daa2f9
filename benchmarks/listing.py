"""How long `tools/list` takes: the default tools from a cold start, and those of every model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from statistics import median
from time import perf_counter

from bench import PEER, Bench, Row, in_turn
from wire import NEW, OLD, Talk

STARTS, SERVERS, TIMES = 15, 7, 5  # of the latter, so many listings in each server after its first


def first_list(bench: Bench) -> Row:
    """Measure from starting the process to the default tools listed, over stdio, in seconds."""

    def once(start: Callable[[], Talk]) -> float:
        started = perf_counter()
        with start() as server:
            server.tools()
            return perf_counter() - started

    ours, peer = in_turn(STARTS, lambda: once(bench.ours), lambda: once(bench.peer))
    return Row(
        "process start to the default `tools/list` answered, stdio",
        "s",
        median(ours),
        median(peer),
        f"{PEER}, same tools",
        "≤ 0.8 ×",
        median(ours) / median(peer) <= 0.8,
        f"{STARTS} starts each; ours with the whole catalog behind it",
    )


def over_stdio(bench: Bench) -> Iterator[Row]:
    """Measure the tools of every model over stdio: the first listing, and later ones, in ms."""
    yield from _rows(bench, "stdio", partial(bench.ours, "all"), partial(bench.peer, "all"))


def over_http(bench: Bench) -> Iterator[Row]:
    """Measure the same over HTTP, in both eras of the protocol."""
    for era in (OLD, NEW):
        ours = partial(bench.ours_on_the_web, "all", era)
        yield from _rows(bench, f"HTTP of {era}", ours, partial(bench.peer_on_the_web, "all", era))


def _rows(
    bench: Bench, door: str, ours: Callable[[], Talk], peer: Callable[[], Talk]
) -> Iterator[Row]:
    count = bench.count("all")
    again: dict[Callable[[], Talk], list[float]] = {ours: [], peer: []}
    pages = {}

    def first(start: Callable[[], Talk]) -> float:
        with start() as server:
            seconds, answers = server.tools()
            _same(answers, count)
            pages[start] = f"{len(answers)} of {sum(map(len, answers)) / 1e6:.1f} MB"
            again[start] += [server.tools()[0] * 1000 for _ in range(TIMES)]
            return seconds * 1000

    mine, theirs = in_turn(SERVERS, lambda: first(ours), lambda: first(peer))
    name = f"`tools/list` of all {count} tools, {door}"
    told = f"{SERVERS} servers each; answers: {pages[ours]}, peer {pages[peer]}"
    yield _row(f"{name}, first", mine, theirs, told)
    told = f"{TIMES} more in each of those servers"
    yield _row(f"{name}, again", again[ours], again[peer], told)


def _row(name: str, mine: list[float], theirs: list[float], detail: str) -> Row:
    ratio = median(mine) / median(theirs)
    peer = f"{PEER}, same tools"
    return Row(name, "ms", median(mine), median(theirs), peer, "≤ 0.5 ×", ratio <= 0.5, detail)


def _same(answers: list[bytes], count: int) -> None:
    """Make sure that everything was listed."""
    listed = sum(answer.count(b'"inputSchema":') for answer in answers)
    if listed != count:
        raise RuntimeError(f"{listed} tools were listed instead of {count}.")
