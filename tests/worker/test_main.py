"""The worker as the program that it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from media_mcp.worker import protocol

ENDS = (protocol.Done, protocol.Failed)
TALKATIVE = """
import os, sys
from media_mcp.worker import __main__ as program
from media_mcp.worker.work import Product

def chatter(work):
    print("a stray print")
    os.write(1, b"a stray write\\n")
    assert os.read(0, 1) == b"", "the commands are read by nobody else"
    return Product((), {"ok": True})

program.find_pipeline = lambda name: chatter
sys.exit(program.main(["--device", "cpu", "--beat", "1000"]))
"""


def test_what_libraries_print_cannot_corrupt_the_stream(tmp_path: Path) -> None:
    run = protocol.Run("a", 1, "m", "any", {}, {}, {}, 7, str(tmp_path), ())
    worker = subprocess.Popen(
        [sys.executable, "-c", TALKATIVE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(os.environ),
    )
    with worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        assert worker.stderr is not None
        worker.stdin.write(protocol.encode(run))
        worker.stdin.flush()
        while not isinstance(end := protocol.from_worker(worker.stdout.readline()), ENDS):
            pass
        worker.stdin.write(protocol.encode(protocol.Shutdown()))
        worker.stdin.flush()
        rest = [protocol.from_worker(line) for line in worker.stdout]
        heard = worker.stderr.read()

    assert worker.returncode == 0
    assert b"a stray print" in heard
    assert b"a stray write" in heard
    assert end == protocol.Done("a", (), {"ok": True})
    assert all(isinstance(message, protocol.Beat) for message in rest)


def test_a_wrong_option_is_a_usage_error() -> None:
    said = subprocess.run(
        [sys.executable, "-P", "-m", "media_mcp.worker", "--dvice", "cpu"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 2
    assert "--device" in said.stderr
