"""Prices as data become what a call costs; what cannot be known stays unknown and says why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from media_mcp.catalog.model import Model, OutputSpec, Param
from media_mcp.catalog.pricing import Charge, price_range
from media_mcp.job import Asset, MediaKind, Price

IMAGE, VIDEO, AUDIO = MediaKind.IMAGE, MediaKind.VIDEO, MediaKind.AUDIO
PRESETS = ("square_hd", "square", "portrait_4_3", "landscape_4_3", "landscape_16_9")
SIZE = Param("image_size", "string", default="square_hd", enum=PRESETS, form="size", maximum=14142)
COUNT = Param("num_images", "integer", default=1, minimum=1, maximum=4)
DURATION = Param("duration", "string", default="5", enum=("5", "10"))
RESOLUTION = Param("resolution", "string", default="720p", enum=("480p", "720p", "1080p"))
SHAPE = Param("aspect_ratio", "string", default="16:9", enum=("16:9", "1:1", "9:16"))
PICTURE = Param("image_url", "string", required=True, media=IMAGE)
CLIP = Param("video_url", "string", required=True, media=VIDEO)
VOICE = Param("audio_url", "string", required=True, media=AUDIO)


def model(*inputs: Param, makes: MediaKind = IMAGE) -> Model:
    return Model(
        id="acme/model",
        tool="acme_model",
        title="A model",
        description="Makes things.",
        task="text-to-image",
        licence="MIT",
        inputs=inputs,
        outputs=(OutputSpec("out", makes, "x/y"),),
        routes=(),
    )


def media(
    kind: MediaKind, uri: str = "media://a", size: tuple[int, int] | None = None, s: float = 0
) -> dict[str, Asset]:
    width, height = size or (None, None)
    return {uri: Asset(uri, Path("a"), kind, "x/y", 1, width, height, s or None)}


def clip(*inputs: Param) -> Model:
    return model(*inputs, makes=VIDEO)


def cost(price: Price, of: Model, given: dict[str, Any] | None = None, **inputs: Asset) -> Charge:
    return price_range(price, of, given or {}, {asset.uri: asset for asset in inputs.values()})


def exact(found: Charge) -> float:
    assert found.low == found.high is not None, found
    return found.high


# Pictures


def test_a_megapixel_price_is_computed_from_the_size_and_says_how():
    found = cost(Price(0.025, "megapixel", "listed", "2026-07"), model(SIZE))
    assert found == Charge(0.026214, 0.026214, "1.05 megapixels × $0.025 (listed 2026-07)")


@pytest.mark.parametrize(
    ("size", "megapixels"),
    [
        ("square", 0.262144),
        ("landscape_4_3", 0.786432),
        ("1280x720", 0.9216),
        ({"width": 2000, "height": 1000}, 2.0),
        ("auto_2K", 4.194304),
        ("4MP", 4.0),
    ],
)
def test_sizes_are_read_in_every_form(size: Any, megapixels: float):
    assert exact(cost(Price(1, "megapixel"), model(SIZE), {"image_size": size})) == megapixels


def test_width_and_height_make_a_size():
    sides = [Param(name, "integer", default=1000, maximum=4000) for name in ("width", "height")]
    assert exact(cost(Price(1, "megapixel"), model(*sides), {"width": 2000})) == 2.0


def test_sides_that_were_left_open_are_a_range():
    sides = [Param(name, "integer", minimum=500, maximum=1000) for name in ("width", "height")]
    found = cost(Price(1, "megapixel"), model(*sides))
    assert (found.low, found.high) == (0.25, 1.0)


def test_a_size_that_follows_the_input_is_that_of_the_input():
    price = Price(1, "megapixel")
    auto = Param("image_size", "string", default="auto", enum=(*PRESETS, "auto"), form="size")
    inputs = media(IMAGE, size=(2000, 1500))
    given = {"image_url": "media://a"}
    assert exact(price_range(price, model(PICTURE), given, inputs)) == 3.0
    assert exact(price_range(price, model(auto, PICTURE), given, inputs)) == 3.0
    sides = [Param(name, "integer") for name in ("width", "height")]
    assert exact(price_range(price, model(*sides, PICTURE), given, inputs)) == 3.0


def test_an_upscaler_is_paid_for_what_comes_out():
    factor = Param("upscale_factor", "number", default=2, minimum=1, maximum=4)
    given, inputs = {"image_url": "media://a"}, media(IMAGE, size=(1000, 1000))
    found = price_range(Price(0.01, "megapixel"), model(PICTURE, factor), given, inputs)
    assert exact(found) == 0.04


def test_an_upscaler_may_aim_at_a_resolution_or_at_a_factor():
    factor = Param("upscale_factor", "number", default=2)
    mode = Param("upscale_mode", "string", default="target", enum=("target", "factor"))
    aim = Param("target_resolution", "string", default="1080p", enum=("720p", "1080p"))
    upscaler, inputs = model(PICTURE, factor, mode, aim), media(IMAGE, size=(1280, 720))
    given = {"image_url": "media://a"}
    aimed = price_range(Price(1, "megapixel"), upscaler, given, inputs)
    assert exact(aimed) == pytest.approx(1920 * 1080 / 1e6)
    by_factor = price_range(
        Price(1, "megapixel"), upscaler, given | {"upscale_mode": "factor"}, inputs
    )
    assert exact(by_factor) == pytest.approx(2560 * 1440 / 1e6)


@pytest.mark.parametrize(
    ("resolution", "low", "high"),
    [("1K", 1.048576, 1.048576), ("2K", 4.194304, 4.194304), ("0.5K", 0.262144, 0.262144)],
)
def test_a_picture_of_1k_has_the_pixels_of_a_square_of_1024(
    resolution: str, low: float, high: float
):
    param = Param("resolution", "string", default="1K", enum=("0.5K", "1K", "2K"))
    found = cost(Price(1, "megapixel"), model(param, SHAPE), {"resolution": resolution})
    assert (found.low, found.high) == (low, high)


def test_a_resolution_in_pixels_is_the_side_of_a_square():
    param = Param("resolution", "integer", default=512, enum=(512, 1024))
    assert exact(cost(Price(1, "megapixel"), model(param))) == 0.262144


def test_lines_of_another_shape_than_16_to_9_are_a_range():
    found = cost(Price(1, "megapixel"), clip(RESOLUTION, SHAPE), {"aspect_ratio": "1:1"})
    assert (found.low, found.high) == (0.5184, 0.9216)


def test_a_resolution_left_to_the_model_is_the_range_of_those_it_has():
    auto = Param("resolution", "string", default="auto", enum=("auto", "480p", "720p"))
    found = cost(Price(1, "megapixel"), clip(auto))
    assert (found.low, found.high) == (pytest.approx(480 * 480 * 16 / 9 / 1e6), 0.9216)


def test_4k_video_has_2160_lines():
    param = Param("resolution", "string", default="4k", enum=("720p", "4k"))
    assert exact(cost(Price(1, "megapixel"), clip(param))) == pytest.approx(3840 * 2160 / 1e6)


@pytest.mark.parametrize(
    ("inputs", "given", "missing"),
    [
        ((), {}, "the size of what it makes"),
        ((PICTURE,), {}, "the size of image_url"),
        ((Param("image_size", "string", enum=PRESETS, form="size"),), {}, "image_size, which was"),
        ((Param("resolution", "string", enum=("low", "high")),), {"resolution": "low"}, "'low'"),
        ((Param("width", "integer"), Param("height", "integer")), {}, "width, which was left open"),
    ],
)
def test_a_size_that_nobody_knows_makes_no_price(
    inputs: tuple[Param, ...], given: dict[str, Any], missing: str
):
    found = cost(Price(0.065, "megapixel"), model(*inputs), given)
    assert (found.low, found.high) == (None, None)
    assert found.basis.startswith("$0.065 per megapixel; unknown: ")
    assert missing in found.basis


def test_an_input_that_was_not_measured_makes_no_price():
    given, inputs = {"image_url": "media://a"}, media(IMAGE)
    for unit in ("megapixel", "input and output megapixel"):
        price = Price(1, unit)
        found = price_range(price, model(PICTURE, SIZE), given | {"image_size": "auto"}, inputs)
        assert "the size of an input" in found.basis
    both = Price(1, "input and output megapixel")
    assert "the size of an input" in price_range(both, model(PICTURE, SIZE), given, inputs).basis


def test_a_list_of_sizes_bounds_an_automatic_one():
    param = Param("image_size", "string", default="auto", enum=("auto", "1000x1000", "2000x1000"))
    found = cost(Price(1, "megapixel"), model(param))
    assert (found.low, found.high) == (1.0, 2.0)


def test_a_mask_is_not_what_the_result_is_as_large_as():
    mask = Param("mask_url", "string", required=True, media=IMAGE, role="mask")
    inputs = media(IMAGE, "media://m", (8, 8)) | media(IMAGE, size=(1000, 1000))
    given = {"mask_url": "media://m", "image_url": "media://a"}
    found = price_range(Price(1, "megapixel"), model(mask, PICTURE), given, inputs)
    assert exact(found) == 1.0


def test_begun_megapixels_are_rounded_up_and_1024_squared_may_count_as_one_or_two():
    price = Price(0.025, "started megapixel")
    assert exact(cost(price, model(SIZE), {"image_size": "landscape_4_3"})) == 0.025
    found = cost(price, model(SIZE))
    assert (found.low, found.high) == (0.025, 0.05)


def test_edits_may_be_paid_for_what_goes_in_and_what_comes_out():
    given, inputs = {"image_url": "media://a"}, media(IMAGE, size=(1000, 1000))
    found = price_range(Price(0.01, "input and output megapixel"), model(PICTURE), given, inputs)
    assert exact(found) == 0.02
    begun = Price(0.01, "started input and output megapixel")
    found = price_range(begun, model(PICTURE), given, media(IMAGE, size=(1500, 1000)))
    assert exact(found) == 0.04


def test_the_first_unit_may_cost_more_than_the_rest():
    price = Price(0.015, "megapixel", first=0.03)
    assert exact(cost(price, model(SIZE), {"image_size": "square"})) == 0.03
    found = cost(price, model(SIZE), {"image_size": "2000x1000"})
    assert exact(found) == 0.045
    assert "2 megapixels × $0.03 for the first, $0.015 for each more" in found.basis


def test_the_number_of_pictures_multiplies():
    found = cost(Price(0.04, "image"), model(COUNT), {"num_images": 3})
    assert (exact(found), found.basis) == (0.12, "3 images × $0.04 (listed)")
    found = cost(Price(1, "megapixel"), model(COUNT, SIZE), {"num_images": 2})
    assert exact(found) == 2.097152
    assert found.basis.startswith("2 × 1.05 megapixels")


def test_a_model_that_may_return_more_pictures_than_asked_for_has_a_range():
    most = Param("max_images", "integer", default=1, minimum=1, maximum=6)
    found = cost(Price(0.03, "image"), model(COUNT, most), {"num_images": 2, "max_images": 3})
    assert (found.low, found.high) == (0.06, 0.18)
    assert exact(cost(Price(0.03, "image"), model(COUNT, most))) == 0.03


def test_a_count_without_default_or_bound_makes_no_price():
    open_count = Param("num_images", "integer", minimum=1)
    assert cost(Price(0.03, "image"), model(open_count)).high is None


# Clips and sounds


@pytest.mark.parametrize("duration", [5, 5.0, "5", "5s", "5 seconds"])
def test_seconds_are_read_in_every_form(duration: Any):
    found = cost(Price(0.07, "second", "exact", "2026-11"), clip(DURATION), {"duration": duration})
    assert (exact(found), found.basis) == (0.35, "5 seconds × $0.07 (exact 2026-11)")


def test_seconds_left_to_the_model_are_the_range_that_its_schema_allows():
    auto = Param("duration", "string", default="auto", enum=("auto", "4", "8", "15"))
    found = cost(Price(0.3, "second"), clip(auto))
    assert (found.low, found.high) == (1.2, 4.5)
    assert found.basis.startswith("4 to 15 seconds")


@pytest.mark.parametrize(
    "param",
    [
        Param("duration", "number", minimum=2, maximum=10),
        Param("duration", "number", exclusive_minimum=2, exclusive_maximum=10),
        Param("music_length_ms", "integer", minimum=2000, maximum=10_000),
    ],
)
def test_seconds_that_were_not_given_have_the_bounds_of_the_schema(param: Param):
    found = cost(Price(1, "second"), clip(param))
    assert (found.low, found.high) == (2.0, 10.0)


def test_frames_and_their_rate_make_seconds():
    frames = Param("num_frames", "integer", default=120, minimum=8, maximum=480)
    rate = Param("fps", "integer", default=24, minimum=1, maximum=60)
    assert exact(cost(Price(0.1, "second"), clip(frames, rate))) == 0.5
    assert exact(cost(Price(0.001, "frame"), clip(frames))) == 0.12
    found = cost(Price(0.1, "second"), clip(frames))
    assert found.high is None
    assert "how many frames a second has" in found.basis


def test_frames_without_a_default_that_are_given_count_instead_of_the_seconds():
    frames = Param("num_frames", "integer", minimum=24, maximum=480)
    rate = Param("fps", "integer", default=24)
    of = clip(DURATION, frames, rate)
    assert exact(cost(Price(1, "second"), of)) == 5.0
    assert exact(cost(Price(1, "second"), of, {"num_frames": 48})) == 2.0


def test_a_clip_that_is_asked_for_shot_by_shot_lasts_as_long_as_its_shots():
    shots = Param("multi_prompt", "array", items=Param("", "object"))
    given = {"multi_prompt": [{"prompt": "a", "duration": "3"}, {"prompt": "b", "duration": "4"}]}
    assert exact(cost(Price(1, "second"), clip(DURATION, shots), given)) == 7.0
    unclear = {"multi_prompt": [{"prompt": "a"}]}
    assert exact(cost(Price(1, "second"), clip(DURATION, shots), unclear)) == 5.0


def test_an_edited_clip_lasts_as_long_as_the_one_that_comes_in():
    given, inputs = {"video_url": "media://a"}, media(VIDEO, s=7.5)
    assert exact(price_range(Price(0.1, "second"), clip(CLIP), given, inputs)) == 0.75
    match = Param("match_video_length", "boolean", default=True)
    frames = Param("num_frames", "integer", default=121)
    found = price_range(Price(0.1, "second"), clip(CLIP, match, frames), given, inputs)
    assert exact(found) == 0.75


def test_frames_that_were_left_open_are_those_of_the_clip_that_comes_in():
    frames = Param("num_frames", "integer", minimum=1, maximum=500)
    given, inputs = {"video_url": "media://a"}, media(VIDEO, s=2)
    assert exact(price_range(Price(1, "second"), clip(CLIP, frames), given, inputs)) == 2.0


def test_a_clip_and_a_voice_of_different_lengths_are_a_range():
    given = {"video_url": "media://a", "audio_url": "media://b"}
    inputs = media(VIDEO, s=10) | media(AUDIO, "media://b", s=30)
    found = price_range(Price(3, "minute"), clip(CLIP, VOICE), given, inputs)
    assert (found.low, found.high) == (0.5, 1.5)
    assert found.basis.startswith("10 to 30 seconds × $3 per minute")


def test_the_length_of_an_input_that_is_not_known_makes_no_price_unless_it_is_bounded():
    found = cost(Price(0.1, "second"), clip(CLIP))
    assert found.basis == "$0.1 per second; unknown: the length of video_url (listed)"
    unmeasured = price_range(
        Price(0.1, "second"), clip(CLIP), {"video_url": "media://a"}, media(VIDEO)
    )
    assert unmeasured.high is None
    bounded = Param(
        "video_url",
        "string",
        required=True,
        media=VIDEO,
        limits={"min_duration": 3, "max_duration": 10},
    )
    found = cost(Price(0.1, "second"), clip(bounded))
    assert (found.low, found.high) == (pytest.approx(0.3), 1.0)


def test_a_length_that_hangs_on_media_that_may_be_left_out_is_unknown_without_them():
    optional = Param("audio_url", "string", media=AUDIO)
    assert "the length of audio_url" in cost(Price(1, "second"), clip(optional)).basis
    assert "how long it is" in cost(Price(1, "second"), clip()).basis


def test_blocks_of_seconds_may_be_billed_whole_or_in_part():
    given, inputs = {"video_url": "media://a"}, media(VIDEO, s=7)
    found = price_range(Price(0.014, "5 seconds"), clip(CLIP), given, inputs)
    assert (found.low, found.high) == (pytest.approx(0.0196), 0.028)
    assert found.basis == "7 seconds × $0.014 per 5 seconds (listed)"


def test_video_tokens_are_counted_and_the_basis_says_how():
    price = Price(1.8, "1m video tokens", "listed", "2026-07-26")
    found = cost(price, clip(DURATION, RESOLUTION, SHAPE))
    assert exact(found) == 0.1944
    assert found.basis == (
        "108,000 video tokens (width × height × frames / 1024) × $1.8 per 1m video tokens "
        "(listed 2026-07-26)"
    )
    rate = Param("fps", "integer", default=12)
    assert exact(cost(price, clip(DURATION, RESOLUTION, SHAPE, rate))) == 0.0972
