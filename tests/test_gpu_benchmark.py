"""The GPU benchmark on tiny models and a CPU, so that it cannot rot between GPUs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "gpu" / "measure_gpu.py"
TIMED = ("seconds", "first_seconds", "peak_gb")


def test_it_measures_every_model_and_setting_and_writes_a_page(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, str(SCRIPT), "--tiny", "--repeat", "1", "--out", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    told = json.loads((tmp_path / "benchmarks-gpu.json").read_text())
    rows = {(row["model"].split(",")[0], row["setting"]): row["numbers"] for row in told["rows"]}
    for model in ("FLUX.1-dev", "SDXL", "Wan 2.1 1.3B"):
        for setting in ("eager", "exact", "fast", "turbo"):
            assert set(TIMED) <= rows[model, setting].keys()
            assert rows[model, setting]["seconds"] > 0
        assert rows[model, "swap"]["bus_gb_per_second"] > 0
    assert rows["FLUX.1-dev", "fast"]["steps_computed"] > 0
    assert rows["SDXL", "4 steps, batches"]["gain"] > 0
    assert rows["SDXL", "cold load"]["our_seconds"] > 0
    page = (tmp_path / "benchmarks-gpu.md").read_text()
    assert f"Measured {told['machine']['date']} on CPU" in page
    assert "| FLUX.1-dev, 1024², 28 steps | eager |" in page
    assert "6.7 s (H100; pytorch.org, 2026-05)" in page
    assert "models: tiny, to see that it runs" in page


def test_without_a_gpu_it_says_what_to_do() -> None:
    ran = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, timeout=110)
    import torch

    if not torch.cuda.is_available():
        assert (ran.returncode, ran.stderr.splitlines()[-1][:12]) == (3, "hint: --tiny")
