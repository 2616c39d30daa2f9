"""The official conformance suites, run on the real server over HTTP."""

import json
import re
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(500)  # the first one may have to install the suites

BASELINE = Path(__file__).with_name("expected-failures.yml")
SUITE_2025 = "conformance-2025/dist/index.js"  # 0.1.16
SUITE_2026 = "conformance-2026/dist/index.js"  # 0.2.0-alpha.12
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def suite(run: Run, profile: str, tmp_path: Path) -> Run:
    """Run a suite; its reports go to `tmp_path/reports`."""

    def run_suite(script: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        reports = str(tmp_path / "reports")
        return run(script, "server", "--url", profile, *arguments, "-o", reports)

    return run_suite


def total(done: "subprocess.CompletedProcess[str]") -> str:
    printed = re.search(r"^Total: .*$", done.stdout, re.MULTILINE)
    assert printed, done.stdout + done.stderr
    return printed[0]


def statuses(tmp_path: Path) -> Counter[str]:
    """Count the reported checks by status, leaving out what only informs."""
    reports = (tmp_path / "reports").glob("*/checks.json")
    checks = [check for report in reports for check in json.loads(report.read_text())]
    return Counter(check["status"] for check in checks if check["status"] != "INFO")


def test_the_suite_of_2025_finds_only_what_the_baseline_explains(
    suite: Run, tmp_path: Path
) -> None:
    done = suite(SUITE_2025, "--suite", "all", "--expected-failures", str(BASELINE))
    assert (done.returncode, total(done)) == (0, "Total: 44 passed, 0 failed"), done.stdout
    assert statuses(tmp_path) == {"SUCCESS": 44, "WARNING": 2}


@pytest.mark.parametrize(("version", "checks"), [("2025-11-25", 84), ("2026-07-28", 152)])
def test_the_suite_of_2026_finds_no_fault_in_either_era(
    suite: Run, tmp_path: Path, version: str, checks: int
) -> None:
    done = suite(SUITE_2026, "--suite", "all", "--spec-version", version)
    assert (done.returncode, total(done)) == (0, f"Total: {checks} passed, 0 failed"), done.stdout
    assert statuses(tmp_path) == {"SUCCESS": checks}


@pytest.mark.parametrize(
    ("scenario", "checks"),
    [
        ("lifecycle", 9),
        ("capability-negotiation", 5),
        ("wire-fields", 4),
        ("request-state-removal", 3),
        ("mrtr-input", 4),
        ("request-headers", 5),
        ("dispatch-and-envelope", 9),
        ("required-task-error", 3),
        ("mrtr-composition", 2),
        ("status-notifications", 0),  # skips itself; test_tasks.py tests them on the wire
    ],
)
def test_the_tasks_extension_is_served_without_fault(
    suite: Run, scenario: str, checks: int
) -> None:
    done = suite(SUITE_2026, "--scenario", f"tasks-{scenario}")
    assert done.returncode == 0, done.stdout
    assert f"Passed: {checks}/{checks}, 0 failed, 0 warnings" in done.stdout
