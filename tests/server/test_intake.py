"""The way in: media are fetched wherever an argument holds them, however deep."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from media_mcp.catalog.model import Model, OutputSpec, Param
from media_mcp.errors import BadMedia
from media_mcp.job import Caller, MediaKind, Route
from support import Opened

FACE = Param("frontal_image_url", "string", required=True, media=MediaKind.IMAGE)
MORE = Param("reference_image_urls", "array", items=Param("", "string"), media=MediaKind.IMAGE)
ELEMENT = Param("", "object", properties=(FACE, MORE, Param("name", "string")))
CONTROL = Param("control", "object", properties=(FACE, Param("weight", "number", default=1)))
MODEL = Model(
    "m",
    "m",
    "M",
    "",
    "image-to-video",
    "MIT",
    (Param("prompt", "string"), Param("elements", "array", items=ELEMENT), CONTROL),
    (OutputSpec("video", MediaKind.VIDEO, "video/mp4"),),
    (Route("rehearsal"),),
)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "face.png"
    Image.new("RGB", (40, 30), "teal").save(path)
    return path


@pytest.mark.anyio
async def test_nested_media_become_assets_and_the_rest_stays(opened: Opened, picture: Path) -> None:
    asked = {
        "prompt": "wave",
        "elements": [
            {"frontal_image_url": str(picture), "name": "Ann"},
            {"frontal_image_url": str(picture), "reference_image_urls": [str(picture)] * 2},
        ],
        "control": {"frontal_image_url": str(picture), "weight": 0.5},
    }
    async with opened() as (app, _):
        order = await app.intake.prepare(MODEL, asked, Caller(), [picture.parent])
    (uri,) = order.inputs
    assert uri.startswith("media://")
    assert order.arguments == {
        "prompt": "wave",
        "elements": [
            {"frontal_image_url": uri, "name": "Ann"},
            {"frontal_image_url": uri, "reference_image_urls": [uri, uri]},
        ],
        "control": {"frontal_image_url": uri, "weight": 0.5},
    }
    assert order.inputs[uri].role == "control.frontal_image_url"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("element", "place"),
    [
        ({"frontal_image_url": "{0}/none.png"}, "elements[1].frontal_image_url: "),
        (
            {"frontal_image_url": "{0}/face.png", "reference_image_urls": ["{0}/none.png"]},
            "elements[1].reference_image_urls[0]: ",
        ),
    ],
)
async def test_a_fault_of_nested_media_names_its_place(
    opened: Opened, picture: Path, element: dict[str, object], place: str
) -> None:
    def here(value: object) -> object:
        if isinstance(value, list):
            return [here(one) for one in value]
        return str(value).format(picture.parent)

    wrong = {name: here(value) for name, value in element.items()}
    asked = {"elements": [{"frontal_image_url": str(picture)}, wrong]}
    async with opened() as (app, _):
        with pytest.raises(BadMedia) as caught:
            await app.intake.prepare(MODEL, asked, Caller(), [picture.parent])
    assert caught.value.message.startswith(place)
