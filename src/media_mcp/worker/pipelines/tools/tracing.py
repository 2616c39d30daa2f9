"""Pictures as vector graphics, by vtracer."""

from __future__ import annotations

import io
from pathlib import Path

from media_mcp.worker import encode
from media_mcp.worker.pipelines.tools.faults import wrong
from media_mcp.worker.pipelines.tools.images import open_image
from media_mcp.worker.work import Product, Work

MAX_TRACED = 16_000_000  # pixels; tracing more takes minutes and makes files nobody can open


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
    import vtracer as engine

    picture = open_image(image_url)
    if picture.width * picture.height > MAX_TRACED:
        raise wrong(
            "image_url",
            f"it has {picture.width}x{picture.height} pixels; at most {MAX_TRACED:,} are traced.",
            "Make it smaller with resize_image first.",
        )
    buffer = io.BytesIO()
    picture.convert("RGBA").save(buffer, format="PNG", compress_level=encode.QUICK)
    work.check()
    svg = engine.convert_raw_image_to_svg(
        buffer.getvalue(),
        img_format="png",
        colormode=colors,
        mode=curves,
        hierarchical=layers,
        filter_speckle=filter_speckle,
        color_precision=color_precision,
    )
    made = encode.save_text(work, svg, "svg", "image/svg+xml")
    return Product((made,), {"shapes": svg.count("<path")})
