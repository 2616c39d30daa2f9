"""What was measured of a pipeline's memory outlives the worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from media_mcp.worker.need import allowance, run_units
from media_mcp.worker.notes import MOST_SIZES, Notes


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "memory.json"


def test_a_restart_knows_what_was_measured(file: Path) -> None:
    notes = Notes(file)
    notes.loaded("flux", 100, 90)
    notes.ran("flux", 100, 1000, 7)

    again = Notes(file).of("flux", 100)

    assert (again.weights, again.needs(1000)) == (90, 7)


def test_of_runs_of_one_size_the_most_counts(file: Path) -> None:
    notes = Notes(file)
    for peak in (5, 9, 7):
        notes.ran("flux", 100, 1000, peak)
    assert Notes(file).of("flux", 100).needs(1000) == 9


def test_other_sizes_are_told_from_those_that_were_seen(file: Path) -> None:
    notes = Notes(file)
    assert notes.of("flux", 1).needs(10) is None
    notes.ran("flux", 1, 100, 50)
    notes.ran("flux", 1, 200, 80)
    flux = notes.of("flux", 1)
    assert flux.needs(150) == 80  # as the next larger one
    assert flux.needs(400) == 160  # in proportion to the largest


def test_other_weights_under_the_same_name_are_not_known(file: Path) -> None:
    notes = Notes(file)
    notes.loaded("mine", 100, 90)
    assert Notes(file).of("mine", 101).weights == 0


def test_two_workers_keep_each_others_notes(file: Path) -> None:
    first, second = Notes(file), Notes(file)
    first.loaded("a", 1, 1)
    second.loaded("b", 2, 2)
    both = Notes(file)
    assert (both.of("a", 1).weights, both.of("b", 2).weights) == (1, 2)


def test_the_file_stays_small(file: Path) -> None:
    notes = Notes(file)
    for units in range(1, 40):
        notes.ran("flux", 1, units, units)
    assert len(Notes(file).of("flux", 1).runs) == MOST_SIZES


@pytest.mark.parametrize("broken", ["", "[]", '{"pipelines": 7}', '{"pipelines": {"a": []}}'])
def test_a_broken_file_says_nothing_and_is_written_anew(file: Path, broken: str) -> None:
    file.parent.mkdir()
    file.write_text(broken)
    Notes(file).loaded("a", 1, 5)
    assert Notes(file).of("a", 1).weights == 5


def test_a_place_that_cannot_be_written_is_no_reason_to_fail(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    notes = Notes(tmp_path / "file" / "memory.json")
    notes.loaded("a", 1, 5)
    assert notes.of("a", 1).weights == 5


def test_a_run_is_as_large_as_its_pixels_frames_and_batch() -> None:
    assert run_units({"width": 512, "height": 256}) == 512 * 256
    assert run_units({}) == 1024 * 1024
    assert run_units({"width": 130, "height": 10, "num_frames": 14}) == 2 * 1300
    assert run_units({"width": 10, "height": 10}, batch=3) == 300
    assert run_units({"width": "wide", "height": None}) == 1024 * 1024
    assert 2e9 < allowance(run_units({})) < 5e9
