"""The examples of CONTRIBUTING.md are real: the card loads, the backend runs jobs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent, indent

import pytest

from media_mcp.catalog.cards import load_card

HERE = Path(__file__).resolve().parents[1]
EXAMPLES = HERE / "docs" / "examples"
MEDIA_MCP = [sys.executable, "-c", "import sys; from media_mcp.cli import main; sys.exit(main())"]
DRAW = "import sys; from PIL import Image; Image.new('RGB', (40, 40), 'red').save(sys.argv[1])"
PROGRAMS = {
    "draws": DRAW,
    "shows its input": "import shutil, sys; shutil.copy(sys.argv[3], sys.argv[1])",
    "fails": "import sys; sys.exit('no ink')",
    "writes nothing": "pass",
    "never ends": """
import os, sys, time
with open(sys.argv[2], "w") as pipe:
    pipe.write(str(os.getpid()))
time.sleep(600)
""",
}


def blocks(language: str) -> list[str]:
    """Return the code blocks of CONTRIBUTING.md in a language."""
    text = (HERE / "CONTRIBUTING.md").read_text()
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_card_in_the_guide_is_the_example_and_loads():
    path = EXAMPLES / "qr-code.yaml"
    assert blocks("yaml") == [path.read_text()]
    assert load_card(path)[0].tool == "qr_code"


def test_the_code_in_the_guide_is_the_example():
    module = (EXAMPLES / "media_mcp_program.py").read_text()
    assert all(indent(block, " " * 4) in module for block in blocks("python"))
    assert all(block in (EXAMPLES / "pyproject.toml").read_text() for block in blocks("toml"))


@pytest.fixture
def media_mcp(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start the command line where the example is installed, with a card for each program."""
    site = tmp_path / "site"
    installed = site / "media_mcp_program-1.0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Name: media-mcp-program\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(
        blocks("toml")[0].replace("project.entry-points.", "").replace('"', "")
    )
    (site / "media_mcp_program.py").symlink_to(EXAMPLES / "media_mcp_program.py")
    cards = tmp_path / "cards"
    cards.mkdir()
    for name, code in PROGRAMS.items():
        (cards / f"{name}.yaml").write_text(card(name, code))
    environment = os.environ | {
        "PYTHONPATH": str(site),
        "MEDIA_MCP_DATA_DIR": str(tmp_path / "data"),
        "MEDIA_MCP_CATALOG_DIRS": json.dumps([str(cards), str(EXAMPLES)]),
    }

    def start(*words: str, **more: str) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [*MEDIA_MCP, *words], env=environment | more, text=True, stdout=pipe, stderr=pipe
        )

    return start


def card(name: str, code: str) -> str:
    words = ["-c", code, "{output}", "{prompt}", *(["{image}"] if "argv[3]" in code else [])]
    return dedent(f"""\
        id: {name.replace(" ", "-")}
        title: A program that {name}
        description: A program that {name}.
        task: text-to-image
        licence: MIT
        inputs:
          prompt: {{type: string, required: true, description: What to draw.}}
          image: {{type: string, media: image, description: What to show.}}
        outputs:
          images: {{kind: image, mime_type: image/png}}
        routes:
          - backend: program
            spec: {json.dumps({"program": sys.executable, "arguments": words})}
        """)


def ended(process: subprocess.Popen[str]) -> tuple[int, dict, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, json.loads(out or "{}"), err


def test_the_example_makes_a_picture(media_mcp):
    code, facts, _ = ended(media_mcp("run", "draws", "prompt=x"))
    assert (code, facts["route"]) == (0, "program")
    assert (facts["assets"][0]["width"], facts["assets"][0]["height"]) == (40, 40)


def test_the_example_hands_inputs_on_as_files(media_mcp):
    _, first, _ = ended(media_mcp("run", "draws", "prompt=x"))
    given = first["assets"][0]["uri"]
    code, _, err = ended(media_mcp("run", "shows-its-input", "prompt=x", f"image={given}"))
    assert code == 0, err


@pytest.mark.parametrize(
    ("model", "failure", "words"),
    [("fails", "backend_failed", "no ink"), ("writes-nothing", "bad_output", "wrote no file")],
)
def test_what_goes_wrong_in_the_example_is_told(media_mcp, model: str, failure: str, words: str):
    code, facts, err = ended(media_mcp("run", model, "prompt=x"))
    assert (code, facts["error"]["code"]) == (1, failure)
    assert words in err


def test_a_program_that_is_not_there_is_told_before_anything_runs(media_mcp, tmp_path: Path):
    code, _, err = ended(media_mcp("run", "qr-code", "prompt=x", PATH=str(tmp_path)))
    assert code == 3
    assert "The program 'qrencode' is not installed" in err


def test_a_cancelled_job_kills_its_program(media_mcp, tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    running = media_mcp("run", "never-ends", f"prompt={pipe}")
    number = int(pipe.read_text())  # waits until the program has written it
    running.send_signal(signal.SIGINT)
    code, facts, _ = ended(running)
    assert (code, facts["state"]) == (130, "cancelled")
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)
