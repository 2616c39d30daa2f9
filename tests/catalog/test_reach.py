"""Reach: requests in plain words find the right model first, or among five."""

import importlib.util
import sys
from collections.abc import Sequence
from fnmatch import filter as filter_ids
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from media_mcp.catalog.catalog import Catalog

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "reach.py"


@pytest.fixture(scope="module")
def reach() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reach", BENCHMARK)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["reach"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog.load()


@pytest.fixture(scope="module")
def answers(reach: ModuleType, catalog: Catalog) -> Sequence[Any]:
    return reach.measure(catalog, reach.requests())


def test_the_right_model_is_found(reach: ModuleType, answers: Sequence[Any]) -> None:
    share = reach.share(answers)
    missed = "\n".join(reach.misses(a for a in answers if not a.request.held_out))
    assert share.top_1 >= 0.90, missed
    assert share.top_5 >= 0.95, missed


def test_it_is_found_for_requests_that_search_was_not_tuned_on(
    reach: ModuleType, answers: Sequence[Any]
) -> None:
    share = reach.share([a for a in answers if a.request.held_out])
    assert share.top_1 >= 0.80
    assert share.top_5 >= 0.90


def test_there_are_enough_requests_and_each_can_be_answered(
    reach: ModuleType, catalog: Catalog
) -> None:
    requests = reach.requests()
    assert len({request.ask for request in requests}) == len(requests) >= 160
    assert sum(request.held_out for request in requests) >= 40
    for request in requests:
        assert any(request.accepts_first(head) for head in catalog.heads), request.ask


def test_every_pattern_of_the_requests_names_some_model(
    reach: ModuleType, catalog: Catalog
) -> None:
    patterns = {p for r in reach.requests() for p in (*r.first, *r.also)}
    ids = [head.id for head in catalog.heads]
    assert [p for p in patterns if not filter_ids(ids, p.lstrip("!"))] == []


def test_stand_ins_never_answer_real_requests(answers: Sequence[Any]) -> None:
    assert not [a.request.ask for a in answers if any("rehearsal/" in one for one in a.found)]


def test_the_table_holds_all_requests_and_those_held_out(
    reach: ModuleType, answers: Sequence[Any]
) -> None:
    lines = list(reach.table(answers))
    assert lines[1].split()[:2] == ["all", str(len(answers))]
    assert any(line.startswith("held out") for line in lines)
    assert "ms a search" in reach.times(answers)
