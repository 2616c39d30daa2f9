"""How often models are loaded when many compete for memory: our order beside that of arrival."""

import importlib
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def affinity(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("affinity")


@pytest.mark.parametrize(("models", "slots", "share"), [(6, 2, 0.2), (8, 3, 0.25)])
def test_a_zipf_stream_loads_a_fifth_of_what_order_of_arrival_does_and_none_waits_too_long(
    affinity, tmp_path, models, slots, share
):
    ours, plain = (
        affinity.simulate(tmp_path / str(one), models, slots, plain=one) for one in (False, True)
    )
    assert ours.loads <= share * plain.loads
    assert ours.oldest <= affinity.BOUND
    assert ours.seconds < 0.75 * plain.seconds


def test_what_waits_all_at_once_loads_each_model_once(affinity, tmp_path):
    told = affinity.simulate(tmp_path / "a", 8, 3, plain=False, in_flight=affinity.JOBS)
    assert told.loads == 8


def test_a_real_worker_loads_each_model_once_where_order_of_arrival_loads_more(affinity, tmp_path):
    size = affinity.Size(models=4, slots=2, jobs=24, in_flight=24)
    told = affinity.real(tmp_path / "real", size, plain=False)
    memory = affinity.Memory(size.slots)
    for name in affinity.zipf(size.models, size.jobs):
        memory.use(name)
    assert told.loads == 4 < memory.loads
