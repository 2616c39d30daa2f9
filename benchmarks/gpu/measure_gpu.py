"""Measures eager diffusers against our speed settings on a GPU, with random weights of full size.

    python benchmarks/gpu/measure_gpu.py                      # writes docs/benchmarks-gpu.md, .json
    python benchmarks/gpu/measure_gpu.py flux --repeat 5
    python benchmarks/gpu/measure_gpu.py --tiny --out ./x     # tiny models on a CPU

Nothing is downloaded. On an H100 or H200 it takes about eight minutes; what would begin after
`--seconds` is left out, and said so. A test runs the tiny ones, so that this does not rot.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import torch  # noqa: E402
from on_gpu import EAGER, Row, Stage, measured  # noqa: E402
from random_weights import MODELS  # noqa: E402

PACKAGES = ("torch", "diffusers", "transformers")
DOCS = HERE.parents[1] / "docs"


def main(argv: Sequence[str]) -> int:
    options = _options(argv)
    if not options.tiny and not torch.cuda.is_available():
        print("error: There is no CUDA device here.", file=sys.stderr)
        print("hint: --tiny runs tiny models on the CPU.", file=sys.stderr)
        return 3
    stage = Stage.set_up(options.tiny, options.repeat, options.seconds)
    rows: list[Row] = []
    for name in options.models or MODELS:
        for row in measured(stage, MODELS[name]):
            rows.append(row)
            print(line(row), flush=True)
    write(options.out or DOCS, rows, machine(stage))
    return 0


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="default: all")
    parser.add_argument("--tiny", action="store_true", help="tiny models on the CPU")
    parser.add_argument("--repeat", type=int, default=2, help="runs after the first two")
    parser.add_argument("--seconds", type=float, default=420, help="start nothing after this")
    parser.add_argument("--out", type=Path, help="where to write; default: docs")
    return parser.parse_args(argv)


def machine(stage: Stage) -> dict[str, str]:
    """Return what matters of this machine."""
    cuda = stage.device.kind == "cuda"
    return {
        "device": torch.cuda.get_device_name() if cuda else f"CPU ({platform.machine()})",
        "memory_gb": f"{stage.device.memory / 1e9:.0f}",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        **{name: version(name) for name in PACKAGES},
        "size": "tiny, to see that it runs" if stage.tiny else "full",
    }


def line(row: Row) -> str:
    """Return a line of plain text on a row."""
    numbers = ", ".join(f"{name} {value:.3g}" for name, value in row.numbers.items())
    notes = f" ({'; '.join(row.notes)})" if row.notes else ""
    return f"{row.model}, {row.setting}: {numbers}{notes}"


def write(folder: Path, rows: Sequence[Row], about: dict[str, str]) -> None:
    """Write the figures as JSON and as a page."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {"machine": about, "rows": [asdict(row) for row in rows]}
    (folder / "benchmarks-gpu.json").write_text(json.dumps(told, indent=1), encoding="utf-8")
    (folder / "benchmarks-gpu.md").write_text(page(rows, about), encoding="utf-8")
    print(f"Written: {folder / 'benchmarks-gpu.md'} and .json")


def page(rows: Sequence[Row], about: dict[str, str]) -> str:
    """Return the page with its tables."""
    packages = ", ".join(f"{name} {about[name]}" for name in PACKAGES)
    parts = [
        "# Benchmarks on a GPU\n",
        "<!-- Made by benchmarks/gpu/measure_gpu.py. -->\n",
        f"Measured {about['date']} on {about['device']}, {about['memory_gb']} GB; {packages}; "
        f"models: {about['size']}. Weights are random, built from the published configs: the "
        "arithmetic is that of the real models. What a cache saves depends on the weights; the "
        "share of steps that were computed stands beside it. Published marks are others' "
        "figures.\n",
        "| model | setting | seconds | over eager | first run | peak GB | computed | published |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *(_timing(row, rows) for row in rows if "first_seconds" in row.numbers),
        "\n| model | what | figures |",
        "| --- | --- | --- |",
        *(_other(row) for row in rows if "first_seconds" not in row.numbers),
        "\nNotes:\n",
        *(f"- {row.model}, {row.setting}: {'; '.join(row.notes)}." for row in rows if row.notes),
    ]
    return "\n".join(parts) + "\n"


def _timing(row: Row, rows: Sequence[Row]) -> str:
    eager = next(r for r in rows if r.model == row.model and r.setting == EAGER)
    marks = next(model.marks for model in MODELS.values() if model.name == row.model)
    numbers, over = row.numbers, eager.numbers["seconds"] / row.numbers["seconds"]
    return (
        f"| {row.model} | {row.setting} | {numbers['seconds']:.3g} | {over:.2f} x faster | "
        f"{numbers['first_seconds']:.3g} | {numbers['peak_gb']:.1f} | "
        f"{numbers.get('steps_computed', '')} | {marks.get(row.setting, '')} |"
    )


def _other(row: Row) -> str:
    figures = ", ".join(f"{name.replace('_', ' ')} {v:.3g}" for name, v in row.numbers.items())
    return f"| {row.model} | {row.setting} | {figures} |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
