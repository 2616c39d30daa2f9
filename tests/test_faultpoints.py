"""The hook at every moment of a job's life: nothing by itself, whatever a test wants it to be."""

import os
import re
import subprocess
import sys
from pathlib import Path

from media_mcp import faultpoints
from media_mcp.faultpoints import Point

SOURCE = Path(faultpoints.__file__).parent


def test_a_moment_does_nothing_until_a_hook_is_installed_and_after_it_is_gone():
    seen = []
    faultpoints.reached(Point.CLAIMED)
    faultpoints.install(seen.append)
    try:
        faultpoints.reached(Point.CLAIMED)
    finally:
        faultpoints.uninstall()
    faultpoints.reached(Point.STEP)
    assert seen == [Point.CLAIMED]


def test_every_moment_is_said_somewhere_in_the_code_and_has_words_of_its_own():
    code = "".join(
        path.read_text() for path in SOURCE.rglob("*.py") if path.name != "faultpoints.py"
    )
    assert set(re.findall(r"Point\.([A-Z_]+)", code)) == {point.name for point in Point}
    assert len({point.value for point in Point}) == len(list(Point))


def test_nothing_but_code_that_means_to_installs_a_hook():
    code = {path.name: path.read_text() for path in SOURCE.rglob("*.py")}
    del code["faultpoints.py"]
    assert [name for name, text in code.items() if "faultpoints.install" in text] == []
    names = [name for point in Point for name in (point.name, f"MEDIA_MCP_{point.name}")]
    environment = os.environ | dict.fromkeys([*names, "MEDIA_MCP_FAULTPOINTS"], "kill")
    check = "from media_mcp import faultpoints as f; assert f.reached is f._nothing"
    subprocess.run([sys.executable, "-c", check], env=environment, check=True)
