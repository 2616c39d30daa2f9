"""Pictures to words: captions, answers about a picture, any class that reads image and text."""

from __future__ import annotations

from typing import Any

from media_mcp.errors import BadMedia
from media_mcp.worker.encode import save_text
from media_mcp.worker.pipelines.transformers.calling import Call, accepts, wrong
from media_mcp.worker.pipelines.watching import Steps, watched
from media_mcp.worker.work import Product

TOKENS = 256
ASK = "Describe this picture."
_FLORENCE = "<DETAILED_CAPTION>"  # a task it was taught; it knows no free questions


def run(call: Call) -> Product:
    """Say what is in `image`; `prompt` asks for something of it."""
    paths = call.files("image", "images")
    if len(paths) != 1:
        raise wrong("image", f"it holds {len(paths)} pictures, not one", "Send them one by one.")
    picture = open_picture(paths[0])
    prompt = str(call.take("prompt", "question", default="")).strip()
    options = {"max_new_tokens": TOKENS} | call.options()
    words = _said(call, picture, prompt, options)
    made = save_text(call.work, words + "\n", "txt", "text/plain")
    return Product((made,), {"text": words[:1500]})


def open_picture(path: str) -> Any:
    """Return a picture in RGB. Raises `BadMedia` for what is none."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as opened:
            return ImageOps.exif_transpose(opened).convert("RGB")
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        raise BadMedia(
            "image: it cannot be read as a picture.", "Give a PNG, JPEG or WebP that opens."
        ) from None


def _said(call: Call, picture: Any, prompt: str, options: dict[str, Any]) -> str:
    loaded = call.loaded
    inputs = loaded.put(_inputs(call, picture, prompt))
    steps = Steps(call.work, int(options["max_new_tokens"]))
    with watched(steps, _writer(loaded.model)):
        tokens = loaded.model.generate(**inputs, **options)
    steps.end()
    given = inputs["input_ids"].shape[1] if _echoes(loaded.model, inputs) else 0
    text = loaded.processor.batch_decode(tokens[:, given:], skip_special_tokens=True)[0]
    return str(text).strip()


def _inputs(call: Call, picture: Any, prompt: str) -> Any:
    processor, name = call.loaded.processor, call.loaded.name
    if getattr(processor, "chat_template", None):
        return _chat(processor, picture, prompt or ASK)
    if name.startswith("Florence2"):
        prompt = prompt or _FLORENCE
    words = {"text": prompt} if prompt and accepts(processor.__call__, "text") else {}
    return processor(images=picture, **words, return_tensors="pt")


def _chat(processor: Any, picture: Any, prompt: str) -> Any:
    content = [{"type": "image", "image": picture}, {"type": "text", "text": prompt}]
    return processor.apply_chat_template(
        [{"role": "user", "content": content}],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )


def _writer(model: Any) -> Any:
    """Return the part that writes: BLIP's own loop passes by the model itself."""
    return getattr(model, "text_decoder", None) or model


def _echoes(model: Any, inputs: Any) -> bool:
    """Whether what a model writes begins with what it was given."""
    if "input_ids" not in inputs or getattr(model, "text_decoder", None) is not None:
        return False
    return not getattr(model.config, "is_encoder_decoder", False)
