"""The soak, short: under a storm of kills no job is lost, paid twice or left half done."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import falplace

HERE = Path(__file__).parent


@pytest.mark.timeout(300)
def test_the_books_balance_after_a_short_soak(tmp_path: Path) -> None:
    environment = os.environ | {
        "PYTHONPATH": str(Path(falplace.__file__).parent),
        "SOAK_CACHE": os.environ["XDG_CACHE_HOME"],
        "SOAK_SECONDS": "15",
        "SOAK_SEED": "7",
        "TMPDIR": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, str(HERE / "soak.py")], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "It balances." in done.stdout
    killed = re.search(r"(\d+) servers killed", done.stdout.rpartition("blows")[2])
    assert killed and int(killed[1]) >= 1, done.stdout
