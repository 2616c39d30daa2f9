"""`media-mcp doctor`: what is installed, what is ready, and the command that mends the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial

from media_mcp.cli.checkups import check_all
from media_mcp.cli.finding import Finding
from media_mcp.cli.outcome import ExitCode
from media_mcp.cli.rooms import run_async
from media_mcp.cli.text import clean, say, say_json
from media_mcp.settings import Settings


def doctor(settings: Settings, as_json: bool) -> int:
    """Print every finding; 3 is returned if a part that everything needs is broken."""
    return run_async(partial(_doctor, settings, as_json))


async def _doctor(settings: Settings, as_json: bool) -> int:
    findings = await check_all(settings)
    if as_json:
        say_json([asdict(finding) for finding in findings])
    else:
        _show(findings)
    broken = any(not finding.ok and finding.vital for finding in findings)
    return ExitCode.NOT_CONFIGURED if broken else ExitCode.OK


def _show(findings: Sequence[Finding]) -> None:
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        mark = "ok  " if finding.ok else "FAIL" if finding.vital else "no  "
        say(f"{mark}  {finding.name.ljust(width)}  {clean(finding.words)}")
        if finding.fix and not finding.ok:
            say(f"{' ' * (width + 6)}  {clean(finding.fix)}")
