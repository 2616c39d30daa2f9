"""What a route needs besides its pipeline, and what is said where it lacks that."""

from __future__ import annotations

from pathlib import Path

from media_mcp.backends.local.needs import unmet
from media_mcp.catalog.catalog import Catalog

FLITE = {"needs": {"program": "flite", "fix": "Run: apt install flite"}}


def test_a_program_that_is_not_there_is_named_with_what_brings_it(tmp_path: Path) -> None:
    told = unmet(FLITE, {"PATH": str(tmp_path)}, "tools", ours=True)
    assert not told.ready
    assert told.reason == "the program flite is not installed."
    assert told.fix == "Run: apt install flite"


def test_a_program_on_the_workers_path_will_do(tmp_path: Path) -> None:
    (tmp_path / "flite").write_text("#!/bin/sh\n")
    (tmp_path / "flite").chmod(0o755)
    assert unmet(FLITE, {"PATH": str(tmp_path)}, "tools", ours=True).ready


def test_packages_are_named_with_the_extra_and_looked_for_in_this_python_only() -> None:
    spec = {"needs": {"packages": ["json", "no_such_package"]}}
    told = unmet(spec, {}, "tools", ours=True)
    assert told.reason == "not installed: no_such_package."
    assert told.fix == 'Run: pip install "media-mcp[tools]"'
    assert unmet(spec, {}, "tools", ours=False).ready


def test_a_route_without_needs_is_ready() -> None:
    assert unmet({"pipeline": "tools", "tool": "probe"}, {}, "tools", ours=True).ready


def test_every_tool_of_a_card_is_one_that_the_worker_has() -> None:
    from media_mcp.worker.pipelines.tools import TOOLS

    routes = [r for m in Catalog.load() for r in m.routes if r.spec.get("pipeline") == "tools"]
    assert {str(route.spec["tool"]) for route in routes} == set(TOOLS)
    known = {"numpy", "soundfile", "vtracer", "pyworld", "pocketsphinx"}
    needed = {name for r in routes for name in r.spec.get("needs", {}).get("packages", ())}
    assert needed == known
