"""The script that makes catalog/fal.jsonl of facts."""

import json
import runpy

import pytest

from media_mcp.catalog.endpoints import read_lines
from media_mcp.catalog.sources import shipped_folder

SCRIPT = shipped_folder().parent / "scripts" / "build_catalog.py"
FACTS = [
    {
        "endpoint_id": name,
        "name": "Thing",
        "category": "text-to-image",
        "inputs": [
            {"name": "prompt", "type": "string", "required": True},
            {"name": "zzz", "type": "integer", "required": False, "maximum": 3, "default": 9},
        ],
        "outputs": [],
        "price": price,
        "price_unit": "images",
        "listed_2026_08": listed,
    }
    for name, price, listed in (
        ("fal-ai/thing/pro", 0.1, True),
        ("thing/pro", None, True),
        ("Thing/pro", None, False),
    )
]


@pytest.fixture
def script():
    return runpy.run_path(str(SCRIPT))


@pytest.fixture
def build(tmp_path, script, capsys):
    def run(facts):
        (tmp_path / "facts.json").write_text(json.dumps(facts))
        out = tmp_path / "fal.jsonl"
        code = script["main"]([str(tmp_path / "facts.json"), "--out", str(out)])
        return code, out, capsys.readouterr()

    return run


def test_facts_become_lines_and_what_there_is_to_know_is_printed(build):
    code, out, said = build(FACTS)
    assert code == 0
    assert said.out.splitlines() == [
        f"{out}: 3 endpoints, 6 arguments, 1 with a price, 1 retired, 3 in some way uncertain, "
        "1 tasks",
        "changed since it was last built: 3 new, 0 gone, 0 different",
        "defaults that do not fit their own schema, dropped: 3",
        "  fal-ai/thing/pro zzz=9",
        "  thing/pro zzz=9",
        "  Thing/pro zzz=9",
        "tool names that collided: 2",
        f"  thing/pro: {read_lines(out)['thing/pro']['tool']}",
        f"  Thing/pro: {read_lines(out)['Thing/pro']['tool']}",
        "arguments without a sentence: 1",
        "  zzz (3)",
    ]


def test_of_endpoints_with_the_same_tool_name_the_first_that_is_still_there_keeps_it(build):
    _, out, _ = build(FACTS)
    tools = {name: line.get("tool", "") for name, line in read_lines(out).items()}
    assert tools["fal-ai/thing/pro"] == ""
    assert tools["thing/pro"].startswith("thing_pro_")
    assert len(set(tools.values())) == 3


def test_newer_facts_are_laid_in_place_of_older_ones(build):
    build(FACTS)
    newer = [{**FACTS[0], "name": "Thing 2"}, {**FACTS[1], "endpoint_id": "thing/new"}]
    _, out, said = build(newer)
    assert "changed since it was last built: 1 new, 2 gone, 1 different" in said.out
    assert sorted(read_lines(out)) == ["fal-ai/thing/pro", "thing/new"]


def test_what_the_facts_get_wrong_is_put_right(build):
    wrong = {**FACTS[0], "endpoint_id": "fal-ai/workflow-utilities/reverse-video"}
    _, out, _ = build([{**wrong, "provider": "Reve"}])
    assert read_lines(out)[wrong["endpoint_id"]]["provider"] == "fal"


def test_facts_that_are_no_list_are_refused(build):
    code, out, said = build({"endpoints": []})
    assert code == 1
    assert said.err.endswith("facts.json holds no list of records.\n")
    assert not out.exists()
