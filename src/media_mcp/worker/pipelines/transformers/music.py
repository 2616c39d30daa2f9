"""Music from a description: MusicGen, and its sibling that takes up a melody."""

from __future__ import annotations

from typing import Any

from media_mcp.worker import sound
from media_mcp.worker.encode import save_sound
from media_mcp.worker.pipelines.transformers.calling import Call, wrong
from media_mcp.worker.pipelines.watching import Steps, watched
from media_mcp.worker.work import Product

LONGEST = 30.0  # seconds: what the weights were taught, and beyond which they fail
GUIDANCE = 3.0


def run(call: Call) -> Product:
    """Make `seconds` of music to `prompt`; `audio` is a melody, or a beginning to go on from."""
    prompt = call.text("prompt", "text")
    seconds = float(call.take("seconds", "duration", default=10.0))
    if not 0 < seconds <= LONGEST:
        raise wrong("seconds", f"{seconds:g} is not above 0 and at most {LONGEST:g}")
    rate, frames = _rates(call)
    melody = _melody(call, rate)
    options = {"do_sample": True, "guidance_scale": GUIDANCE} | call.options()
    tokens = round(seconds * frames)
    inputs = call.loaded.put(_inputs(call, prompt, melody, rate))
    steps = Steps(call.work, tokens)
    with watched(steps, call.loaded.model.decoder):
        made = call.loaded.model.generate(**inputs, **options, max_new_tokens=tokens + _delay(call))
    steps.end()
    heard = made[0].float().cpu().numpy()[..., : round(seconds * rate) + _given(inputs)]
    saved = save_sound(call.work, heard, rate)
    facts = {"seconds": round(heard.shape[-1] / rate, 2), "sample_rate": rate}
    return Product((saved,), facts)


def _rates(call: Call) -> tuple[int, float]:
    """Return the samples, and the frames of codes, that are in a second."""
    codec = call.loaded.model.config.audio_encoder
    return int(codec.sampling_rate), float(codec.frame_rate)


def _delay(call: Call) -> int:
    """Return how many tokens more it takes: each codebook begins one later than the last."""
    return int(call.loaded.model.config.decoder.num_codebooks)


def _melody(call: Call, rate: int) -> Any:
    paths = call.files("audio")
    if len(paths) > 1:
        raise wrong("audio", f"it holds {len(paths)} recordings, not one", "Send one.")
    return sound.read(paths[0], rate, most=LONGEST).samples if paths else None


def _inputs(call: Call, prompt: str, melody: Any, rate: int) -> Any:
    processor = call.loaded.processor
    if melody is None:
        tokenizer = getattr(processor, "tokenizer", processor)
        return tokenizer([prompt], padding=True, return_tensors="pt")
    return processor(
        audio=melody, sampling_rate=rate, text=[prompt], padding=True, return_tensors="pt"
    )


def _given(inputs: Any) -> int:
    """Return the samples of a beginning that was gone on from, which stands before the rest."""
    return int(inputs["input_values"].shape[-1]) if "input_values" in inputs else 0
