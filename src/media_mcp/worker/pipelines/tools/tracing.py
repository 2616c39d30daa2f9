"""Pictures as vector graphics, by vtracer."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path

from media_mcp.errors import MissingExtra
from media_mcp.worker import encode
from media_mcp.worker.pipelines.tools.faults import EXTRA, wrong
from media_mcp.worker.pipelines.tools.images import open_image
from media_mcp.worker.pipelines.tools.programs import run_program
from media_mcp.worker.work import Product, Work

MAX_TRACED = 4_000_000  # pixels; tracing more takes minutes and makes files nobody can open
_CHILD = """
import json, sys, vtracer
vtracer.convert_image_to_svg_py(sys.argv[1], sys.argv[2], **json.loads(sys.argv[3]))
"""


def vtracer(
    work: Work,
    image_url: Path,
    colors: str = "color",
    curves: str = "spline",
    layers: str = "stacked",
    filter_speckle: int = 4,
    color_precision: int = 6,
) -> Product:
    """Trace a picture into SVG. The arguments are those of vtracer under plainer names."""
    if find_spec("vtracer") is None:
        raise MissingExtra("vtracer", EXTRA)
    picture = open_image(image_url)
    if picture.width * picture.height > MAX_TRACED:
        raise wrong(
            "image_url",
            f"it has {picture.width}x{picture.height} pixels; at most {MAX_TRACED:,} are traced.",
            "Make it smaller with resize_image first.",
        )
    source, traced = work.folder / "traced.png", work.folder / "traced.svg"
    picture.convert("RGBA").save(source, compress_level=encode.QUICK)
    wishes = {
        "colormode": colors,
        "mode": curves,
        "hierarchical": layers,
        "filter_speckle": filter_speckle,
        "color_precision": color_precision,
    }
    # It never lets another thread run meanwhile, neither to tell that we live nor to cancel it.
    command = [sys.executable, "-P", "-c", _CHILD, str(source), str(traced), json.dumps(wishes)]
    run_program(work, "vtracer", command, "Make the picture smaller or plainer first.")
    svg = traced.read_text(encoding="utf-8")
    source.unlink()
    traced.unlink()
    made = encode.save_text(work, svg, "svg", "image/svg+xml")
    return Product((made,), {"shapes": svg.count("<path")})
