"""Pictures: size, edges, turning, colours, layers, masks, words; pixels are looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from media_mcp.errors import BadMedia, InvalidArguments
from media_mcp.worker.work import Cancelled
from toolkit import BLUE, GREEN, RED, WHITE, Bench, make_picture, near


def look(path: Path) -> Any:
    with Image.open(path) as picture:
        return picture.copy()


@pytest.fixture
def halves(tmp_path: Path) -> Path:
    """A picture of 60x40 pixels, red at the left and blue at the right."""
    picture = Image.new("RGB", (60, 40), RED)
    picture.paste(BLUE, (30, 0, 60, 40))
    picture.save(tmp_path / "halves.png")
    return tmp_path / "halves.png"


@pytest.mark.parametrize(
    ("call", "size"),
    [
        ({"width": 30}, (30, 20)),
        ({"height": 80}, (120, 80)),
        ({"width": 30, "height": 30}, (30, 20)),
        ({"width": 30, "height": 30, "mode": "fill"}, (30, 30)),
        ({"width": 30, "height": 30, "mode": "exact"}, (30, 30)),
        ({"width": 1}, (1, 1)),
    ],
)
def test_a_picture_gets_its_size_and_is_stretched_only_when_told(
    bench: Bench, halves: Path, call: dict[str, Any], size: tuple[int, int]
) -> None:
    assert look(bench.use("resize-image", image_url=halves, **call).path).size == size


def test_a_piece_is_cut_out_where_it_was_asked_for(bench: Bench, halves: Path) -> None:
    square = look(bench.use("crop-image", image_url=halves, aspect_ratio="1:1").path)
    assert square.size == (40, 40)
    assert [square.getpixel((x, 20)) for x in (0, 39)] == [RED, BLUE]
    right = look(bench.use("crop-image", image_url=halves, width=20, position="right").path)
    assert right.size == (20, 40) and right.getpixel((0, 0)) == BLUE
    at = look(bench.use("crop-image", image_url=halves, width=4, height=2, x=28, y=3).path)
    assert [at.getpixel((x, 0)) for x in range(4)] == [RED, RED, BLUE, BLUE]
    for wrong in ({"width": 61}, {"width": 10, "x": 55}, {"width": 10, "y": -1}):
        with pytest.raises(InvalidArguments, match="is not inside the 60x40 pixels"):
            bench.use("crop-image", image_url=halves, **wrong)


def test_a_ground_is_larger_and_holds_the_picture(bench: Bench, halves: Path) -> None:
    padded = look(bench.use("pad-image", image_url=halves, margin=10, color="#00ff00").path)
    assert padded.size == (80, 60)
    assert [padded.getpixel(p) for p in ((0, 0), (10, 10), (69, 49))] == [GREEN, RED, BLUE]
    clear = look(
        bench.use("pad-image", image_url=halves, aspect_ratio="1:1", color="transparent").path
    )
    assert clear.size == (60, 60) and clear.mode == "RGBA" and clear.getpixel((0, 0))[3] == 0
    with pytest.raises(InvalidArguments, match="smaller than what it is to hold"):
        bench.use("pad-image", image_url=halves, width=50)


def test_a_picture_turns_clockwise_and_mirrors(bench: Bench, halves: Path) -> None:
    quarter = look(bench.use("rotate-image", image_url=halves, angle=90).path)
    assert quarter.size == (40, 60)
    assert [quarter.getpixel((20, y)) for y in (5, 55)] == [RED, BLUE]
    mirrored = look(bench.use("rotate-image", image_url=halves, flip="horizontal").path)
    assert mirrored.getpixel((5, 5)) == BLUE
    tilted = look(bench.use("rotate-image", image_url=halves, angle=45, color="white").path)
    assert tilted.size[0] > 60 and tilted.getpixel((0, 0)) == WHITE


def test_light_and_colour_change(bench: Bench, halves: Path) -> None:
    grey = look(bench.use("adjust-image", image_url=halves, effect="grayscale").path)
    assert len(set(grey.getpixel((5, 5)))) == 1
    dark = look(bench.use("adjust-image", image_url=halves, brightness=0.5).path)
    assert near(dark.getpixel((5, 5)), (127, 0, 0), 2)
    soft = look(bench.use("adjust-image", image_url=halves, blur=4).path)
    assert near(soft.getpixel((30, 20)), (127, 0, 127), 24)
    same = look(bench.use("adjust-image", image_url=halves).path)
    assert same.getpixel((5, 5)) == RED


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "avif"])
def test_a_picture_becomes_a_file_of_every_kind(bench: Bench, media: Path, kind: str) -> None:
    used = bench.use("convert-image", image_url=media / "glass.png", output_format=kind)
    assert used.product.outputs[0].mime_type == f"image/{kind}"
    picture = look(used.path)
    assert picture.format is None or picture.format == kind.upper()
    clear = picture.convert("RGBA").getpixel((10, 5))
    assert near(clear[:3], (127, 127, 255) if kind == "jpeg" else BLUE, 12)
    assert clear[3] == (255 if kind == "jpeg" else 128)


def test_the_format_stays_and_less_quality_is_smaller(bench: Bench, tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    noise = np.random.default_rng(7).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(photo, quality=95)
    sizes = []
    for quality in (90, 30):
        used = bench.use("resize-image", image_url=photo, width=60, output_quality=quality)
        assert used.path.suffix == ".jpg"
        sizes.append(used.path.stat().st_size)
    assert sizes[1] < sizes[0] / 2


def test_a_larger_picture_invents_nothing_and_is_bounded(bench: Bench, halves: Path) -> None:
    large = look(bench.use("upscale-image", image_url=halves, scale=3).path)
    assert large.size == (180, 120)
    assert near(large.getpixel((10, 60)), RED, 6) and near(large.getpixel((170, 60)), BLUE, 6)
    with pytest.raises(InvalidArguments, match="result: it would be") as refused:
        bench.use("upscale-image", image_url=halves, scale=1000)
    assert "MAX_PIXELS" in refused.value.hint


def test_metadata_go_and_the_picture_stands_upright(bench: Bench, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x8825] = 6, "Maker", {1: "N", 2: (52.0, 30.0, 0.0)}
    photo = tmp_path / "photo.jpg"
    Image.new("RGB", (60, 40), RED).save(photo, exif=exif, comment=b"secret")
    used = bench.use("remove-metadata", image_url=photo)
    clean = look(used.path)
    assert clean.size == (40, 60)
    assert not clean.getexif()
    data = used.path.read_bytes()
    assert b"Maker" not in data and b"secret" not in data and b"Exif" not in data


def test_colours_of_another_profile_become_the_screens(bench: Bench, tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for name, data in (("lab.png", profile), ("bad.png", b"no profile")):
        Image.new("RGB", (8, 8), RED).save(tmp_path / name, icc_profile=data)
        used = bench.use("convert-image", image_url=tmp_path / name, output_format="png")
        assert "icc_profile" not in look(used.path).info


@pytest.mark.parametrize("kind", ["cut", "text", "clip"])
def test_what_is_no_picture_is_refused(
    bench: Bench, media: Path, tmp_path: Path, kind: str
) -> None:
    path = media / "clip.mp4"
    if kind != "clip":
        path = tmp_path / "bad.png"
        path.write_bytes((media / "red.png").read_bytes()[:60] if kind == "cut" else b"hello")
    with pytest.raises(BadMedia, match="cannot be read as a picture"):
        bench.use("resize-image", image_url=path, width=5)


def test_a_layer_lies_where_it_should_and_shines_through(bench: Bench, media: Path) -> None:
    call = {"image_url": media / "red.png", "overlay_url": media / "glass.png"}
    laid = look(bench.use("composite-images", position="bottom_right", margin=2, **call).path)
    assert laid.getpixel((5, 5)) == RED
    assert near(laid.getpixel((50, 33)), (127, 0, 128), 3)
    assert laid.getpixel((59, 39)) == RED
    faint = look(bench.use("composite-images", opacity=0.5, overlay_width=40, **call).path)
    assert near(faint.getpixel((30, 20)), (191, 0, 64), 3)
    with pytest.raises(InvalidArguments, match="none of the 20x10 pixels would be seen"):
        bench.use("composite-images", x=500, **call)


def test_a_mask_and_a_blend_say_how_layers_meet(bench: Bench, tmp_path: Path) -> None:
    ground = make_picture(tmp_path / "ground.png", (100, 100, 100))
    layer = make_picture(tmp_path / "layer.png", (200, 50, 200))
    mask = Image.new("L", (60, 40), 0)
    mask.paste(255, (0, 0, 30, 40))
    mask.save(tmp_path / "mask.png")
    call = {"image_url": ground, "overlay_url": layer, "mask_url": tmp_path / "mask.png"}
    masked = look(bench.use("composite-images", **call).path)
    assert [masked.getpixel((x, 20)) for x in (5, 55)] == [(200, 50, 200), (100, 100, 100)]
    multiplied = look(bench.use("composite-images", blend="multiply", **call).path)
    assert near(multiplied.getpixel((5, 20)), (78, 19, 78), 2)


def test_a_grid_holds_every_picture_in_order(bench: Bench, tmp_path: Path) -> None:
    urls = [make_picture(tmp_path / f"{n}.png", c) for n, c in enumerate((RED, GREEN, BLUE))]
    call = {"tile_width": 60, "gap": 4}
    grid = look(bench.use("image-grid", image_urls=urls, columns=2, **call).path)
    assert grid.size == (2 * 64 + 4, 2 * 44 + 4)
    places = [(30, 20), (100, 20), (30, 70), (100, 70)]
    assert [grid.getpixel(p) for p in places] == [RED, GREEN, BLUE, WHITE]
    named = look(bench.use("image-grid", image_urls=urls, labels=["a", "b", "c"], **call).path)
    assert named.height > grid.height
    with pytest.raises(InvalidArguments, match="labels: there are 1 for 3 pictures"):
        bench.use("image-grid", image_urls=urls, labels=["a"])


def test_words_are_written_within_the_picture(bench: Bench, tmp_path: Path) -> None:
    ground = make_picture(tmp_path / "ground.png", BLUE, (200, 100))
    call = {"image_url": ground, "color": "white", "outline": "transparent"}
    used = bench.use("text-on-image", text="Grüße", position="top_left", size=20, **call)
    seen = np.argwhere((np.asarray(look(used.path)) > 200).all(axis=2))
    assert seen[:, 0].max() < 40 and seen[:, 1].max() < 120
    long = bench.use("text-on-image", text="word " * 60, size=40, **call)
    edges = np.argwhere((np.asarray(look(long.path)) > 200).all(axis=2))
    assert edges.min() >= 4 and edges[:, 0].max() < 96 and edges[:, 1].max() < 196
    with pytest.raises(InvalidArguments, match="no typeface on this machine has all its letters"):
        bench.use("text-on-image", text="\U00013000", **call)


def test_a_mask_is_white_where_its_shapes_are(bench: Bench, media: Path) -> None:
    shapes = [
        {"kind": "rectangle", "x": 0, "y": 0, "width": 10, "height": 10},
        {"kind": "ellipse", "x": 30, "y": 10, "width": 20, "height": 20},
    ]
    mask = look(bench.use("make-mask", image_url=media / "red.png", shapes=shapes).path)
    assert mask.size == (60, 40) and mask.mode == "L"
    assert [mask.getpixel(p) for p in ((5, 5), (10, 10), (40, 20), (31, 11))] == [255, 0, 255, 0]
    turned = bench.use("make-mask", width=60, height=40, shapes=shapes, invert=True, feather=2)
    assert look(turned.path).getpixel((25, 35)) == 255
    for call, words in (
        ({"width": 60, "height": 40, "shapes": [shapes[0] | {"x": 60}]}, "shapes.0.: it lies"),
        ({"shapes": shapes}, "the mask has no size"),
    ):
        with pytest.raises(InvalidArguments, match=words):
            bench.use("make-mask", **call)


def test_a_mask_grows_shrinks_softens_and_turns_round(bench: Bench, tmp_path: Path) -> None:
    mask = Image.new("L", (40, 40), 0)
    mask.paste(200, (10, 10, 30, 30))
    mask.save(tmp_path / "mask.png")

    def white(**call: Any) -> int:
        edited = look(bench.use("edit-mask", mask_url=tmp_path / "mask.png", **call).path)
        return int((np.asarray(edited) > 127).sum())

    assert white(threshold=128) == 400
    assert white(threshold=128, grow=3) == 26 * 26
    assert white(threshold=128, grow=-3) == 14 * 14
    assert white(threshold=128, invert=True) == 1600 - 400
    assert white(threshold=201) == 0
    Image.new("RGBA", (4, 4), (9, 9, 9, 0)).save(tmp_path / "mask.png")
    assert white() == 0  # it is its transparency that counts


def test_a_drawing_becomes_shapes(bench: Bench, halves: Path, tmp_path: Path) -> None:
    used = bench.use("vtracer", image_url=halves, curves="polygon")
    svg = used.path.read_text()
    assert used.product.outputs[0].mime_type == "image/svg+xml"
    assert svg.count("<path") == used.product.facts["shapes"] >= 2
    assert 'width="60"' in svg and 'height="40"' in svg


def test_tracing_stops_when_it_is_cancelled(bench: Bench, halves: Path) -> None:
    bench.stop_after = 0
    with pytest.raises(Cancelled):
        bench.use("vtracer", image_url=halves)
    assert not list(bench.last_folder.iterdir())


def test_a_picture_too_large_to_trace_is_refused(
    bench: Bench, halves: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("media_mcp.worker.pipelines.tools.tracing.MAX_TRACED", 1000)
    with pytest.raises(InvalidArguments, match="at most 1,000 are traced"):
        bench.use("vtracer", image_url=halves)
