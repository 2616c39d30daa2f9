"""The glossary: one sentence for each argument, by task where it matters."""

import pytest

from media_mcp.catalog.endpoints import read_lines
from media_mcp.catalog.glossary import Glossary
from media_mcp.catalog.sources import shipped_folder
from media_mcp.errors import BadCard


@pytest.fixture
def glossary(tmp_path):
    (tmp_path / "params-1.yaml").write_text(
        "prompt: What to make.\n"
        "scale: How strong it is.\n"
        "loras.scale: How strong\n  the LoRA is.\n"
        "seed: Wrong.\n"
        'strength: {image-to-image: How much changes., "text-to-video, image-to-video": Motion.}\n'
    )
    (tmp_path / "params-2.yaml").write_text("seed: {'': A number., text-to-3d: A shape.}\n")
    (tmp_path / "intents.yaml").write_text("prompt: not a glossary\n")
    return Glossary.load(tmp_path)


def test_a_sentence_is_found_by_name(glossary):
    assert glossary.sentence("prompt", "text-to-image") == "What to make."
    assert len(glossary) == 5


def test_a_task_can_have_a_sentence_of_its_own(glossary):
    assert glossary.sentence("seed", "text-to-3d") == "A shape."
    assert glossary.sentence("seed", "text-to-image") == "A number."
    assert glossary.sentence("strength", "image-to-video") == "Motion."
    assert glossary.sentence("strength", "vision") == ""


def test_what_is_inside_another_is_looked_up_with_its_parent_first(glossary):
    assert glossary.sentence("scale", "text-to-image", "loras") == "How strong the LoRA is."
    assert glossary.sentence("scale", "text-to-image", "ip_adapters") == "How strong it is."


def test_every_name_without_a_sentence_is_listed_with_its_parent(glossary):
    lora = {"name": "path", "type": "string"}
    line = {
        "task": "text-to-image",
        "inputs": [
            {"name": "prompt", "type": "string"},
            {"name": "new", "type": "string"},
            {
                "name": "loras",
                "type": "array",
                "items": {"type": "array", "items": {"type": "object", "properties": [lora]}},
            },
        ],
    }
    assert glossary.missing([line, line]) == {"new": 2, "loras": 2, "loras.path": 2}


def test_a_folder_without_a_glossary_holds_no_sentence(tmp_path):
    assert Glossary.load(tmp_path).sentence("prompt", "text-to-image") == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prompt: [", "params.yaml: line 2: did not find"),
        ("- prompt", "params.yaml: a glossary maps names to sentences."),
        ("prompt: 5", "params.yaml: prompt: it needs a sentence, or a mapping from tasks"),
        ("prompt: {text-to-image: 5}", "params.yaml: prompt: it needs a sentence"),
        ("prompt: \xff", "params.yaml: 'utf-8' codec can't decode"),
    ],
)
def test_what_is_wrong_with_a_glossary_is_said_with_its_file(tmp_path, text, words):
    (tmp_path / "params.yaml").write_bytes(text.encode("latin-1"))
    with pytest.raises(BadCard) as error:
        Glossary.load(tmp_path)
    assert words in error.value.message
    assert error.value.hint == "Mend the glossary: `name: sentence`."


def test_our_glossary_knows_every_argument_of_every_endpoint():
    folder = shipped_folder()
    glossary = Glossary.load(folder / "words")
    assert glossary.missing(read_lines(folder / "fal.jsonl").values()) == {}
