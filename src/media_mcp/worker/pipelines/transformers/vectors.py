"""Pictures to SVG by StarVector, whose code comes with its weights and runs only when allowed."""

from __future__ import annotations

import re
from typing import Any

from media_mcp.errors import BadCard, BadOutput
from media_mcp.worker.encode import save_text
from media_mcp.worker.pipelines.transformers.calling import Call
from media_mcp.worker.pipelines.transformers.seeing import open_picture
from media_mcp.worker.pipelines.watching import Steps, watched
from media_mcp.worker.work import Product

MAX_LENGTH = 4000
_SVG = re.compile(r"<svg\b.*</svg>", re.DOTALL)


def run(call: Call) -> Product:
    """Write the SVG of `image`, in at most `max_length` tokens."""
    model = call.loaded.model
    if not hasattr(model, "generate_im2svg"):
        raise BadCard(
            f"class: {call.loaded.name} has no generate_im2svg: its weights are no StarVector's.",
            "Mend the model's card.",
        )
    picture = open_picture(call.files("image")[0])
    longest = int(call.take("max_length", default=MAX_LENGTH))
    pixels = _processor(call)([picture], return_tensors="pt")["pixel_values"]
    pixels = pixels if pixels.shape[0] == 1 else pixels.squeeze(0)
    inputs = call.loaded.put({"image": pixels})
    steps = Steps(call.work, longest)
    with watched(steps, _writer(model)):
        told = model.generate_im2svg(inputs, max_length=longest, **call.options())
    steps.end()
    made = save_text(call.work, _drawn(told), "svg", "image/svg+xml")
    return Product((made,), {})


def _processor(call: Call) -> Any:
    return getattr(call.loaded.model.model, "processor", None) or call.loaded.processor


def _writer(model: Any) -> Any:
    """Return the part that writes token by token."""
    inner = getattr(model, "model", model)
    return getattr(getattr(inner, "svg_transformer", inner), "transformer", inner)


def _drawn(told: Any) -> str:
    text = str(told[0] if isinstance(told, list | tuple) else told)
    found = _SVG.search(text)
    if not found:
        raise BadOutput("The model wrote no whole SVG.", "Try a simpler picture or a larger size.")
    return f"{found[0]}\n"
