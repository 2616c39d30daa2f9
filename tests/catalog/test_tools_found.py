"""The tools without weights are found by what people say."""

import pytest

from media_mcp.catalog.catalog import Catalog
from media_mcp.catalog.search import Wish


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog.load()


@pytest.mark.parametrize(
    ("ask", "model"),
    [
        ("cut the first 3 seconds of my video", "trim-video"),
        ("join two clips", "concat-videos"),
        ("put music under my video", "add-audio"),
        ("make a gif", "video-to-gif"),
        ("convert a gif to mp4", "animation-to-video"),
        ("burn subtitles", "burn-subtitles"),
        ("resize picture", "resize-image"),
        ("crop a picture to a square", "crop-image"),
        ("extract the last frame of a video", "extract-frames"),
        ("remove sound from video", "remove-audio"),
        ("mp3 from a video", "extract-audio"),
        ("picture in picture", "overlay-video"),
        ("letterbox video", "pad-video"),
        ("speed up video", "change-speed"),
        ("slideshow of pictures with music", "images-to-video"),
        ("convert wav to mp3", "convert-audio"),
        ("normalize loudness", "normalize-loudness"),
        ("remove silence from recording", "remove-silence"),
        ("mix voice over music", "mix-audio"),
        ("make my voice sound like a robot", "change-voice"),
        ("convert png to jpg", "convert-image"),
        ("rotate a picture", "rotate-image"),
        ("write text on a picture", "text-on-image"),
        ("collage of pictures", "image-grid"),
        ("invert a mask", "edit-mask"),
        ("remove exif metadata", "remove-metadata"),
    ],
)
def test_what_people_say_finds_the_tool_first(catalog: Catalog, ask: str, model: str) -> None:
    assert catalog.find(Wish(ask))[0].head.id == f"tools/{model}"
