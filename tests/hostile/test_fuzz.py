"""The fuzzer works: a short run of it finds nothing, and it does find what is there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import fuzz
import pytest
from hypothesis import strategies as st


def test_a_short_run_finds_nothing(tmp_path: Path) -> None:
    words = [sys.executable, str(Path(fuzz.__file__)), "5", str(tmp_path / "found")]
    environment = os.environ | {"PYTHONPATH": str(Path(fuzz.__file__).parents[1])}
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FUZZ_SEED=" in done.stdout
    assert done.stdout.rstrip().endswith("to each of 13 targets, 0 findings")
    assert not (tmp_path / "found").exists()


def test_what_goes_wrong_is_found_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def odd(self: fuzz.Doors, data: bytes) -> None:
        assert data != b"\x07", "seven"

    def targets(self: fuzz.Doors, folder: Path) -> dict[fuzz.Target, st.SearchStrategy[bytes]]:
        return {self.lines: st.sampled_from([b"\x07", b"x"])}

    monkeypatch.setattr(fuzz.Doors, "lines", odd)
    monkeypatch.setattr(fuzz.Doors, "targets_and_what_is_drawn", targets)
    assert fuzz.fuzz(0.0, tmp_path / "found", 5) == 1
    (kept,) = (tmp_path / "found").iterdir()
    assert kept.read_bytes() == b"\x07"
    assert "seed 5: AssertionError" in capsys.readouterr().out
