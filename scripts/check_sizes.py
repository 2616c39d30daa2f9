"""Checks that files and functions under src/ stay small, and prints what is too big."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles

SOURCE = Path(__file__).resolve().parents[1] / "src"
FILE_LINES = 400
FUNCTION_LINES = 60
MEDIAN = (5, 11)
P90 = 40


def main(source: Path = SOURCE) -> int:
    """Print every fault and a line of figures; return 1 if there are faults."""
    files = sorted(source.rglob("*.py"))
    sizes = {name: lines for file in files for name, lines in functions(file, source)}
    faults = [
        *long_files(files, source),
        *long_functions(sizes),
        *odd_figures(list(sizes.values())),
    ]
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"{len(files)} files, {len(sizes)} functions, {figures(list(sizes.values()))}.")
    return 1 if faults else 0


def functions(file: Path, source: Path) -> Iterator[tuple[str, int]]:
    """Yield each function of a file as `path:line name` and its lines, decorators left out."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            yield f"{file.relative_to(source)}:{node.lineno} {node.name}", lines


def long_files(files: list[Path], source: Path) -> Iterator[str]:
    for file in files:
        lines = len(file.read_text(encoding="utf-8").splitlines())
        if lines > FILE_LINES:
            yield f"{file.relative_to(source)}: {lines} lines; the bound is {FILE_LINES}"


def long_functions(sizes: dict[str, int]) -> Iterator[str]:
    for name, lines in sizes.items():
        if lines > FUNCTION_LINES:
            yield f"{name}: {lines} lines; the bound is {FUNCTION_LINES}"


def odd_figures(sizes: list[int]) -> Iterator[str]:
    low, high = MEDIAN
    if not low <= median(sizes) <= high:
        yield f"the median function has {median(sizes)} lines; it should have {low} to {high}"
    if p90(sizes) > P90:
        yield f"nine tenths of the functions have up to {p90(sizes)} lines; the bound is {P90}"


def figures(sizes: list[int]) -> str:
    return f"median {median(sizes):g} lines, 90% up to {p90(sizes):g}, longest {max(sizes)}"


def p90(sizes: list[int]) -> float:
    return quantiles(sizes, n=10, method="inclusive")[-1]


if __name__ == "__main__":
    sys.exit(main())
