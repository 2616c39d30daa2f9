"""What search makes of words: stems, versions, postings, near spellings, phrases of want."""

from pathlib import Path

import pytest
import yaml

from media_mcp.catalog.intents import Meanings
from media_mcp.catalog.postings import decode, encode
from media_mcp.catalog.search import INTENTS
from media_mcp.catalog.search_words import asked_words, is_version, joined, words
from media_mcp.catalog.sources import shipped_folder
from media_mcp.catalog.spelling import Speller, distance

DECLARED = """
same: [[picture, photo], [video, clip], [lipsync, lips]]
small: [a, my, to, into, with, in, the, this]
common: [picture, video]
known_as: {eleven: elevenlabs}
leading: []
open: []
tasks:
  image-to-video: {asked: [animate picture, picture => video]}
  video-to-audio: {asked: [video => audio]}
  text-to-image: {asked: [draw], alone: [picture]}
traits:
  cutout: {kind: image, asked: [remove background], is: [rembg]}
  backdrop: {asked: [replace background picture], is: [backdrop]}
  sound: {manner: true, brings: text-to-video, asked: [with sound], is: [loud]}
  training: {weight: 2, asked: [train], is: [trainer]}
"""


@pytest.fixture(scope="module")
def meanings() -> Meanings:
    made = Meanings.of(yaml.load(DECLARED, yaml.BaseLoader))
    return Meanings.loads(made.dumps())


def wants(meanings: Meanings, query: str) -> set[str]:
    return set(meanings.meant(asked_words(query)).purposes)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Veo3.1 [fast]", ["veo", "3.1", "fast"]),
        ("Seedance-2.0 hailuo-02", ["seedanc", "2", "hailuo", "2"]),
        ("hunyuan3d-v21", ["hunyuan", "3d", "21"]),
        ("1.7b o3 4k mp3", ["1.7b", "o3", "4k", "mp3"]),
        ("pictures editing removed libraries", ["pictur", "edit", "remov", "library"]),
        ("vectorise colour stylising", ["vectoriz", "color", "styliz"]),
        ("Trellis's vidéo", ["trellis", "video"]),
        ("cutting glass bus", ["cut", "glass", "bus"]),
        ("", []),
    ],
)
def test_text_is_split_into_stems_and_versions(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("10 seconds at 24 fps", ["second", "at", "fps"]),
        ("9:16 clip", ["ratio", "clip"]),
        ("upscale 4x", ["upscal"]),
        ("under $0.10", ["under"]),
        ("kling 2.5", ["kling", "2.5"]),
    ],
)
def test_amounts_are_no_versions(query: str, expected: list[str]) -> None:
    assert asked_words(query) == expected


def test_long_queries_are_cut() -> None:
    assert len(asked_words("word " * 1000)) == 40


def test_versions_are_told_from_words() -> None:
    assert [w for w in ("2.5", "3", "3d", "o3", "four") if is_version(w)] == ["2.5", "3"]


def test_names_and_versions_may_be_joined() -> None:
    assert list(joined(["nano", "banana"])) == ["nanobanana"]
    assert list(joined(["wan", "25"])) == ["2.5"]
    assert list(joined(["sam", "3", "1"])) == ["3.1"]
    assert list(joined(["ltx", "2", "19b"])) == []


@pytest.mark.parametrize(
    "weights",
    [{}, {0: 1.0}, {1612: 0.8}, {0: 0.3, 1: 1.0, 127: 0.5, 128: 0.55, 500: 0.01, 40_000: 1.27}],
)
def test_postings_come_back_as_they_went(weights: dict[int, float]) -> None:
    assert dict(decode(encode(weights))) == pytest.approx(weights, abs=0.005)


def test_postings_of_neighbours_take_two_bytes_each() -> None:
    assert len(encode(dict.fromkeys(range(1000), 1.0))) == 2000


@pytest.mark.parametrize(
    ("one", "other", "slips"),
    [
        ("kling", "kling", 0),
        ("klign", "kling", 1),
        ("kliing", "kling", 1),
        ("klin", "kling", 1),
        ("klong", "kling", 1),
        ("bananna", "banana", 1),
        ("treliss", "trellis", 2),
        ("abcdef", "uvwxyz", 3),
    ],
)
def test_slips_are_counted(one: str, other: str, slips: int) -> None:
    assert distance(one, other, 2) == slips
    assert distance(other, one, 2) == slips


def test_the_nearest_known_words_are_meant() -> None:
    speller = Speller(["kling", "flux", "hunyuan", "detect", "music"])
    assert speller.near("klinng") == [("kling", 0.75)]
    assert speller.near("fluxx") == [("flux", 0.75)]
    assert speller.near("flxu") == [("flux", 0.6)]
    assert speller.near("uhnyuan") == [("hunyuan", 0.75)]
    assert speller.near("mysik") == []


@pytest.mark.parametrize("wrong", ["xx", "2.5", "detectiv", "zzzzzzzz"])
def test_what_is_short_or_another_word_is_not_mended(wrong: str) -> None:
    assert Speller(["detect", "flux", "kling"]).near(wrong) == []


def test_words_that_mean_the_same_say_the_same_phrase(meanings: Meanings) -> None:
    assert wants(meanings, "animate my photo") == {":task:image-to-video"}


def test_into_has_a_direction_and_needs_its_word(meanings: Meanings) -> None:
    assert ":task:image-to-video" in wants(meanings, "turn this photo into a clip")
    assert wants(meanings, "a clip into a photo") == {":task:text-to-image"}
    assert wants(meanings, "a photo with a clip") == {":task:text-to-image"}
    far = "photo one two three four five to clip"
    assert wants(meanings, far) == {":task:text-to-image"}


def test_a_longer_phrase_takes_the_place_of_what_it_contains(meanings: Meanings) -> None:
    assert wants(meanings, "replace the background in my picture") == {":backdrop"}


def test_some_words_count_only_alone(meanings: Meanings) -> None:
    alone = meanings.meant(["pictur"])
    assert (set(alone.purposes), alone.sure) == ({":task:text-to-image"}, False)
    assert wants(meanings, "remove the background of a picture") == {":cutout"}


def test_a_manner_brings_its_task_if_nothing_is_wanted(meanings: Meanings) -> None:
    meaning = meanings.meant(asked_words("a beach with sound"))
    assert set(meaning.purposes) == {":task:text-to-video"}
    assert set(meaning.manners) == {":sound"}
    assert set(meanings.meant(asked_words("draw with sound")).purposes) == {":task:text-to-image"}


def test_the_kind_of_media_is_the_usual_one_unless_it_is_named(meanings: Meanings) -> None:
    assert meanings.meant(asked_words("remove background")).kinds == (":in:image",)
    assert meanings.meant(asked_words("remove background of a clip")).kinds == (":in:video",)
    assert meanings.meant(asked_words("animate photo")).kinds == ()


def test_a_trait_may_count_for_more(meanings: Meanings) -> None:
    purposes = meanings.meant(asked_words("train draw")).purposes
    assert purposes[":training"] == pytest.approx(2 * purposes[":task:text-to-image"], rel=0.2)


def test_what_ships_names_only_tasks_and_models_that_exist() -> None:
    from media_mcp.catalog.catalog import Catalog
    from media_mcp.catalog.marks import Marks, Shown

    raw = yaml.load(_intents().read_text(encoding="utf-8"), yaml.BaseLoader)
    catalog = Catalog.load()
    shown = [Shown(n, catalog.get(head.id), head) for n, head in enumerate(catalog.heads)]
    marks = Marks(raw, shown).postings()
    assert [trait for trait in raw["traits"] if not marks[f":{trait}"]] == []
    known = {*raw["traits"], *catalog.tasks()}
    helping = {one for trait in raw["traits"].values() for one in trait.get("also", ())}
    assert helping - known == set()
    assert {t.get("brings") for t in raw["traits"].values()} - {None} <= set(catalog.tasks())
    assert set(raw["tasks"]) <= set(catalog.tasks())


def _intents() -> Path:
    return shipped_folder() / "words" / INTENTS
