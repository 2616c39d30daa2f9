"""Lines of generated endpoints, and the raw cards that are made of them."""

import json

import pytest

from media_mcp.catalog.cards import model_of
from media_mcp.catalog.endpoints import (
    card,
    doubts,
    dumps,
    line_of,
    load_endpoints,
    plain_words,
    priced,
    read_lines,
    speed_of,
    write_lines,
)
from media_mcp.catalog.glossary import Glossary
from media_mcp.catalog.sources import shipped_folder
from media_mcp.errors import BadCard

LORA = {
    "type": "object",
    "properties": [
        {"name": "path", "type": "string", "required": True},
        {"name": "top_k", "type": "integer"},
    ],
}
LINE = {
    "id": "fal-ai/thing/pro",
    "name": "Thing Pro",
    "task": "text-to-image",
    "provider": "fal",
    "licence": "commercial",
    "inputs": [
        {"name": "prompt", "type": "string", "required": True},
        {"name": "loras", "type": "array", "items": LORA},
    ],
    "outputs": [{"role": "image", "kind": "image", "mime_type": "image/png"}],
    "values": [{"name": "seed", "type": "integer"}],
    "price": {"amount": 0.1, "unit": "image", "certainty": "listed", "as_of": "2026-07"},
    "seconds": 60,
    "as_of": "2026-06-11",
}
WORDS = Glossary(
    {
        "prompt": {"": "What to make."},
        "loras": {"": "Styles."},
        "loras.path": {"": "Where it is."},
    }
)


def shipped():
    folder = shipped_folder()
    return load_endpoints([folder], Glossary.load(folder / "words"))


def test_a_line_becomes_a_whole_card_in_our_words():
    raw = card(LINE, WORDS)
    assert raw["inputs"]["loras"] == {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "path": {"type": "string", "required": True, "description": "Where it is."},
                "top_k": {"type": "integer", "description": "Top k."},
            },
        },
        "description": "Styles.",
    }
    assert raw["routes"] == [
        {"backend": "fal", "spec": {"endpoint": "fal-ai/thing/pro"}, "price": LINE["price"]}
    ]
    told = {key: raw[key] for key in raw if key not in ("inputs", "routes")}
    assert told == {
        "id": "fal-ai/thing/pro",
        "title": "Thing Pro",
        "description": "Draws pictures from a prompt. With Thing Pro, the finer edition. "
        "Takes your own LoRAs. About a minute a call.",
        "task": "text-to-image",
        "licence": "hosted, commercial use",
        "outputs": {"image": {"kind": "image", "mime_type": "image/png"}},
        "values": {"seed": "integer"},
        "family": "thing",
        "speed": "medium",
        "provider": "fal",
        "as_of": "2026-06-11",
    }


def test_a_card_made_of_a_line_is_a_model():
    model = model_of(card(LINE, WORDS), "fal.jsonl:1")
    assert model.tool == "thing_pro"
    assert model.routes[0].price.amount == 0.1
    assert model.inputs[1].items.properties[0].description == "Where it is."


def test_a_line_may_name_its_tool_its_family_its_backend_and_its_successor():
    raw = card(
        {**LINE, "tool": "thing_2", "family": "things", "backend": "mine", "successor": "a/b"},
        WORDS,
    )
    assert (raw["tool"], raw["family"], raw["successor"]) == ("thing_2", "things", "a/b")
    assert raw["routes"][0]["backend"] == "mine"


@pytest.mark.parametrize(
    ("licence", "words"),
    [
        ("research", "hosted, research only"),
        ("private", "hosted, private"),
        ("", "hosted, licence unknown"),
        ("MIT", "MIT"),
    ],
)
def test_licences_are_said_in_words(licence, words):
    assert card({**LINE, "licence": licence}, WORDS)["licence"] == words


@pytest.mark.parametrize(
    ("seconds", "speed"), [(None, ""), (5, "fast"), (60, "medium"), (120, "slow")]
)
def test_a_place_s_estimate_is_a_class_of_speed(seconds, speed):
    assert speed_of(seconds) == speed


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({}, ""),
        (
            {"origin": "types", "sure": "medium", "as_of": "2026-08-02"},
            "The ranges of its numbers are not known (type definitions of August 2026).",
        ),
        (
            {"origin": "types", "sure": "medium", "as_of": ""},
            "The ranges of its numbers are not known (type definitions).",
        ),
        ({"sure": "medium", "as_of": "2026-01-28"}, "Facts of January 2026."),
        ({"sure": "medium", "as_of": ""}, "Old facts."),
        (
            {"inputs": [], "sure": "low", "blind": True},
            "Its arguments are not known. What it returns is not known.",
        ),
        ({"retired": True, "missing": "2026-08"}, "Not listed in August 2026: may be retired."),
        ({"retired": True}, "Retired by the place that ran it."),
        (
            {"id": "fal-ai/thing/realtime"},
            "Made for live connections: a queued call may fail.",
        ),
    ],
)
def test_what_is_not_known_for_sure_is_said(told, words):
    assert doubts({**LINE, **told}) == words


def test_an_argument_that_no_glossary_knows_is_its_own_name():
    assert plain_words("ip_adapter-scale") == "Ip adapter scale."


def test_lines_are_written_sorted_and_read_back(tmp_path):
    path = tmp_path / "fal.jsonl"
    other = {**LINE, "id": "a/b"}
    write_lines(path, {LINE["id"]: LINE, "a/b": other})
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == [
        "a/b",
        "fal-ai/thing/pro",
    ]
    assert read_lines(path) == {"a/b": other, "fal-ai/thing/pro": LINE}
    assert [one.name for one in tmp_path.iterdir()] == ["fal.jsonl"]


def test_a_file_that_is_not_there_holds_no_lines(tmp_path):
    assert read_lines(tmp_path / "none.jsonl") == {}
    assert load_endpoints([tmp_path / "nowhere"], WORDS) == {}


def test_later_folders_win_by_id_and_every_line_knows_its_place(tmp_path):
    for name, title in (("one", "Old"), ("two", "New")):
        (tmp_path / name).mkdir()
        text = f"\n{dumps({**LINE, 'name': title})}\n"
        (tmp_path / name / "fal.jsonl").write_text(text)
    found = load_endpoints([tmp_path / "one", tmp_path / "two"], WORDS)
    assert found["fal-ai/thing/pro"]["title"] == "New"
    assert found["fal-ai/thing/pro"]["source"] == f"{tmp_path}/two/fal.jsonl:2"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "fal.jsonl:2: not JSON: "),
        ("[]", "fal.jsonl:2: a line is a JSON object."),
        ('{"name": "x"}', "fal.jsonl:2: `id` must be a text."),
        (dumps({**LINE, "inputs": {}}), "fal.jsonl:2: `inputs` must be a list."),
        (dumps({**LINE, "inputs": [5]}), "fal.jsonl:2: not a line of a catalog: "),
        (dumps({**LINE, "outputs": [{}]}), "fal.jsonl:2: not a line of a catalog: "),
        (dumps({**LINE, "as_of": "2026-99", "sure": "low"}), "fal.jsonl:2: not a line of a"),
    ],
)
def test_a_bad_line_is_named_with_its_file_and_number(tmp_path, text, words):
    (tmp_path / "fal.jsonl").write_text(f"\n{text}\n")
    with pytest.raises(BadCard) as error:
        load_endpoints([tmp_path], WORDS)
    assert words in error.value.message
    assert error.value.hint.startswith("Mend or remove the line")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "fal.jsonl").write_bytes(b"\xff")
    with pytest.raises(BadCard, match=r"fal\.jsonl cannot be read"):
        read_lines(tmp_path / "fal.jsonl")


def test_a_line_gets_the_price_that_a_place_bills():
    line = line_of({"endpoint_id": "a/b", "category": "text-to-image"})
    entry = {"unit_price": 0.5, "unit": "videos", "currency": "USD"}
    assert priced(line, entry, "2026-11-02")["price"]["unit"] == "video"
    assert "price" not in priced(line, None, "2026-11-02")
    assert "price" not in priced(line, {"currency": "USD"}, "2026-11-02")


def test_all_endpoints_become_models_and_none_shares_a_tool():
    raws = shipped()
    models = [
        model_of({key: raw[key] for key in raw if key != "source"}, raw["source"])
        for raw in raws.values()
    ]
    assert len(models) == 1575
    assert len({model.tool for model in models}) == 1575
    assert all(len(model.uncertain) <= 200 for model in models)
    retired = [model for model in models if model.retired]
    assert len(retired) == 185
    assert all("may be retired" in model.uncertain for model in retired)
