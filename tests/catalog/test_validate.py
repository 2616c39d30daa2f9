"""Validation: what a wrong argument is told, and what is forgiven."""

from __future__ import annotations

import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from media_mcp.catalog.model import Model, OutputSpec, Param
from media_mcp.catalog.validate import Validator, complete, problems_of, renamed
from media_mcp.errors import InvalidArguments
from media_mcp.job import JSON, MediaKind, Route

PRESETS = ("square_hd", "portrait_16_9", "landscape_4_3", "landscape_16_9")
VOICES = tuple(f"voice-{n}" for n in range(40))
INPUTS = (
    Param("prompt", "string", "What to draw.", required=True, max_length=500),
    Param("seed", "integer", minimum=0),
    Param("steps", "integer", minimum=1, maximum=50, default=12),
    Param("guidance", "number", minimum=1, maximum=10, default=1),
    Param("noise", "number", exclusive_minimum=0, exclusive_maximum=1),
    Param("frames", "integer", multiple_of=8, minimum=9, maximum=60),
    Param("size", "integer", enum=(64, 128, 256)),
    Param("colour", "string", enum=("red", "blue")),
    Param("duration", "string", enum=("4s", "6s", "8s")),
    Param("count", "string", enum=("1", "2", "3")),
    Param("length", "string", form="number", minimum=1, maximum=20),
    Param("voice", "string", enum=VOICES),
    Param("hd", "boolean"),
    Param("image_size", "string", form="size", enum=PRESETS, maximum=4096),
    Param("exact_size", "string", form="size", minimum=256, maximum=1000, multiple_of=64),
    Param("tags", "array", items=Param("", "string"), min_items=1, max_items=2),
    Param("boxes", "array", items=Param("", "array", items=Param("", "number"))),
    Param(
        "elements",
        "array",
        items=Param(
            "",
            "object",
            properties=(
                Param("face_url", "string", "The face.", required=True),
                Param("weight", "number", maximum=2),
                Param("crop", "string", form="size", maximum=512),
            ),
        ),
    ),
    Param("free", "object"),
    Param("text", "string", replaced_by="prompt"),
)
NAMES = st.sampled_from([param.name for param in INPUTS] + ["width", "height", "face_url", "crop"])
MADE = (OutputSpec("images", MediaKind.IMAGE, "image/png"),)
MODEL = Model("m", "m", "M", "", "text-to-image", "MIT", INPUTS, MADE, (Route("fal"),))


def words(arguments: dict[str, JSON]) -> str:
    with pytest.raises(InvalidArguments) as caught:
        complete(MODEL, arguments)
    return caught.value.message


def test_defaults_are_filled_in_and_nulls_count_as_not_given() -> None:
    given = {"prompt": "a star", "seed": None, "elements": [{"face_url": "a", "weight": None}]}
    assert complete(MODEL, given) == {
        "prompt": "a star",
        "steps": 12,
        "guidance": 1,
        "elements": [{"face_url": "a"}],
    }


def test_a_null_in_a_free_object_is_kept() -> None:
    assert complete(MODEL, {"prompt": "x", "free": {"a": None}})["free"] == {"a": None}


@pytest.mark.parametrize(
    "given",
    [
        {"image_size": "landscape_4_3"},
        {"image_size": "1280x720"},
        {"image_size": "4096x4096"},
        {"exact_size": "256x960"},
        {"length": "auto"},
        {"length": "20"},
        {"seed": 5.0},
        {"noise": 0.5},
        {"boxes": [[1, 2.5], []]},
        {"free": {"anything": [1]}},
        {"free": {}},
    ],
)
def test_what_is_right_passes(given: dict[str, JSON]) -> None:
    assert complete(MODEL, {"prompt": "x"} | given).items() >= given.items()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"prompt": None}, "prompt: is required. What to draw."),
        ({"prompt": 7}, 'prompt: must be of type string, but 7 was given. Give it in quotes: "7".'),
        ({"prompt": ["a boat"]}, 'Give "a boat" alone, not in a list.'),
        ({"prompt": ["a", "b"]}, "prompt: must be of type string, but"),
        ({"prompt": True}, 'Give it in quotes: "true".'),
        ({"sede": 1}, "sede: is not an argument here. Did you mean seed"),
        ({"qqq": 1}, "qqq: is not an argument here. Known arguments: prompt, seed,"),
        ({"prompt": "y" * 501}, "prompt: must be at most 500 characters long, but"),
        # numbers
        ({"steps": 99}, "steps: must be at most 50, but 99 was given."),
        ({"guidance": 0.5}, "guidance: must be at least 1, but 0.5 was given."),
        ({"noise": 0}, "noise: must be more than 0, but 0 was given."),
        ({"noise": 1}, "noise: must be less than 1, but 1 was given."),
        ({"frames": 21}, "frames: must be a multiple of 8, but 21 was given. The nearest is 24."),
        ({"frames": 10}, "frames: must be a multiple of 8, but 10 was given. The nearest is 16."),
        ({"frames": 59}, "The nearest is 56."),
        ({"seed": 1.5}, "seed: must be of type integer, but 1.5 was given. The nearest is 2."),
        ({"steps": "5"}, 'must be of type integer, but "5" was given. Give 5, without quotes.'),
        ({"steps": "5 steps"}, 'steps: must be of type integer, but "5 steps" was given.'),
        ({"guidance": "2.5"}, "Give 2.5, without quotes."),
        ({"steps": "many"}, 'steps: must be of type integer, but "many" was given.'),
        ({"steps": True}, "steps: must be of type integer, but true was given."),
        ({"length": "21"}, 'length: must be at most 20, but "21" was given.'),
        ({"length": "0.5"}, 'length: must be at least 1, but "0.5" was given.'),
        ({"length": 5}, 'length: must be of type string, but 5 was given. Give it in quotes: "5".'),
        # choices
        (
            {"size": 100},
            "size: must be one of 64, 128, 256, but 100 was given. The nearest is 128.",
        ),
        ({"colour": "bleu"}, 'Did you mean "blue"?'),
        ({"colour": "RED"}, 'Did you mean "red"?'),
        ({"colour": "#ff0000"}, 'colour: must be one of "red", "blue", but "#ff0000" was given.'),
        ({"duration": 8}, 'must be of type string, but 8 was given. Did you mean "8s"?'),
        ({"duration": "7s"}, 'duration: must be one of "4s", "6s", "8s", but "7s" was given.'),
        ({"duration": "20"}, 'The nearest is "8s".'),
        ({"count": 2}, 'must be of type string, but 2 was given. Give it in quotes: "2".'),
        ({"count": 9}, 'The nearest is "3".'),
        ({"voice": "voice_7"}, '"voice-19", … (40 in all), but "voice_7" was given. Did you mean'),
        # booleans
        ({"hd": "true"}, 'hd: must be of type boolean, but "true" was given. Give true, without'),
        ({"hd": "No"}, "Give false, without quotes."),
        ({"hd": 1}, "Give true, without quotes."),
        ({"hd": "maybe"}, "Give true or false."),
        # sizes
        ({"image_size": "square-hd"}, 'but "square-hd" was given. Did you mean "square_hd"?'),
        ({"image_size": "landscape"}, 'Did you mean "landscape_4_3"?'),
        ({"image_size": "9000x9000"}, "must have sides from 1 to 4096 pixels, but 9000x9000 was"),
        ({"image_size": "9000x100"}, "The nearest is 4096x100."),
        ({"image_size": "1280 × 720"}, 'Write "1280x720".'),
        ({"image_size": "1280*720"}, 'Write "1280x720".'),
        ({"image_size": "0x720"}, 'a size like 1280x720, but "0x720" was given.'),
        ({"image_size": "16:9"}, 'The nearest is "landscape_16_9".'),
        ({"image_size": "square"}, 'Did you mean "square_hd"?'),
        ({"image_size": {"width": 1280, "height": 720}}, 'Give "1280x720".'),
        ({"image_size": {"width": 1280}}, "image_size: must be of type string, but"),
        ({"exact_size": "16:9"}, 'exact_size: must be a size like 1280x720, but "16:9" was given.'),
        ({"exact_size": "300x2000"}, "from 256 to 1000 and a multiple of 64 pixels, but 300x2000"),
        ({"exact_size": "300x2000"}, "The nearest is 320x960."),
        ({"exact_size": "100x270"}, "The nearest is 256x256."),
        # lists and objects
        ({"tags": "a"}, 'tags: must be of type array, but "a" was given. Give a list: ["a"].'),
        ({"tags": '["a"]'}, "Give the list itself, not its text."),
        ({"tags": 5}, "tags: must be of type array, but 5 was given. Give a list."),
        ({"tags": []}, "tags: must have at least 1 items, but [] was given."),
        ({"tags": ["a", 5]}, "tags[1]: must be of type string, but 5 was given."),
        ({"tags": ["a", "b", "c"]}, "tags: must have at most 2 items, but"),
        ({"boxes": [[1], [2, "x"]]}, 'boxes[1][1]: must be of type number, but "x" was given.'),
        ({"free": '{"a": 1}'}, "Give the object itself, not its text."),
        ({"free": "a"}, 'free: must be of type object, but "a" was given. Give an object.'),
        ({"elements": ["a"]}, "elements[0]: must be of type object, but"),
        ({"elements": ["a"]}, "Give an object with face_url, weight, crop."),
        ({"elements": [{}]}, "elements[0].face_url: is required. The face."),
        ({"elements": [{"face_url": "a", "wight": 1}]}, "elements[0].wight: is not an argument"),
        ({"elements": [{"face_url": "a", "wight": 1}]}, "Did you mean weight"),
        ({"elements": [{"face_url": "a", "weight": 3}]}, "elements[0].weight: must be at most 2"),
        ({"elements": [{"face_url": "a", "crop": "900x9"}]}, "elements[0].crop: must have sides"),
        # what is no JSON
        ({"guidance": float("nan")}, "arguments: are not plain JSON"),
        ({"seed": 10**5000}, "arguments: are not plain JSON"),
        ({"prompt": b"x"}, "arguments: are not plain JSON"),
        ({"prompt": "x", "\udc00": 1}, "arguments: hold half a surrogate pair"),
    ],
)
def test_a_wrong_argument_is_told_its_name_what_was_given_and_what_is_near(
    given: dict[str, JSON], expected: str
) -> None:
    message = words({"prompt": "x"} | given)
    assert expected in message


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -(10**400), 2**63, 1e308, -0.0, 5e-324, "1e400", "-"])
    | st.floats()
    | st.text(max_size=8)
    | st.from_regex(r"[0-9]{1,6} ?[x:*s] ?[0-9]{0,6}", fullmatch=True),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(NAMES | st.text(), inner, max_size=3)
    ),
    max_leaves=5,
)


@settings(max_examples=600, derandomize=True, database=None, deadline=None)
@drawn(st.dictionaries(NAMES, ANYTHING, min_size=1, max_size=4))
def test_whatever_is_given_is_taken_or_explained(given: dict[str, JSON]) -> None:
    try:
        complete(MODEL, {"prompt": "x"} | given)
    except InvalidArguments as error:
        assert all(problem.field and problem.message for problem in error.problems)
        assert len(error.message) < 4000


def test_every_fault_is_told_at_once_and_each_once() -> None:
    with pytest.raises(InvalidArguments) as caught:
        complete(MODEL, {"prompt": "x", "steps": 0, "count": 9, "image_size": "huge"})
    assert sorted(problem.field for problem in caught.value.problems) == [
        "count",
        "image_size",
        "steps",
    ]
    assert caught.value.hint == "Correct the arguments and call again."


@pytest.mark.parametrize("depth", [900, 100_000])
def test_endless_nesting_is_no_plain_json(depth: int) -> None:
    deep: list[JSON] = []
    for _ in range(depth):
        deep = [deep]
    assert "are not plain JSON" in words({"prompt": deep})


def test_a_long_value_is_shown_cut() -> None:
    assert len(words({"prompt": ["z" * 999, 1]})) < 200


def test_a_model_without_inputs_says_so() -> None:
    bare = Model("m", "m", "M", "", "t", "MIT", (), MADE, (Route("fal"),))
    with pytest.raises(InvalidArguments, match=r"a: is not an argument here\. There are none\."):
        complete(bare, {"a": 1})


def test_an_old_name_is_taken_as_the_new_one_and_the_caller_can_be_told() -> None:
    assert complete(MODEL, {"text": "a boat"})["prompt"] == "a boat"
    found = renamed(MODEL, {"text": "a boat", "steps": None})
    assert found.arguments == {"prompt": "a boat"}
    assert found.notes == ("text is now called prompt; it was taken as that.",)
    assert renamed(MODEL, {"prompt": "x"}).notes == ()


def test_what_is_wrong_with_an_old_name_is_told_of_the_new_one() -> None:
    assert words({"text": 5}).startswith("prompt: must be of type string")


def test_an_old_name_beside_the_new_one_is_refused() -> None:
    assert "text: is the old name of prompt, which is given too." in words(
        {"prompt": "x", "text": "y"}
    )


def test_single_inputs_can_be_checked_alone() -> None:
    (problem,) = problems_of([INPUTS[2]], {"steps": 99})
    assert (problem.field, problem.message) == ("steps", "must be at most 50, but 99 was given.")


def test_a_bare_schema_can_be_checked_too() -> None:
    schema = {"type": "object", "properties": {"a": {"type": ["string", "null"], "pattern": "^b"}}}
    validator = Validator(schema)
    validator.check({"a": "b"})
    assert validator.problems({"a": float("inf")})[0].field == "arguments"
    assert validator.problems({"a": "c"})[0].message == '"c" does not match "^b".'
    assert validator.problems({"a": 5})[0].message == (
        "must be of type null or string, but 5 was given."
    )
