"""Text to speech: a long text is cut at its sentences, spoken part by part, and joined."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from media_mcp.errors import BadOutput
from media_mcp.worker import sound
from media_mcp.worker.encode import save_sound
from media_mcp.worker.pipelines.transformers.calling import Call
from media_mcp.worker.pipelines.transformers.speaking.speaker import Speaker
from media_mcp.worker.pipelines.watching import Steps, watched
from media_mcp.worker.work import Product

_HERE = "media_mcp.worker.pipelines.transformers.speaking"
_SPEAKERS: Mapping[str, str] = {
    "BarkModel": "bark",
    "CsmForConditionalGeneration": "dialogue",
    "DiaForConditionalGeneration": "dia",
    "HiggsAudioV2ForConditionalGeneration": "dialogue",
    "SpeechT5ForTextToSpeech": "speecht5",
    "VibeVoiceForConditionalGeneration": "dialogue",
    "VitsModel": "vits",
}


def run(call: Call) -> Product:
    """Speak `text`; the rest of the call is what the class takes: voices, temperature, speed."""
    speaker = speaker_of(call)
    parts = speaker.parts(call.text("text", "prompt"))
    steps = Steps(call.work, len(parts) * speaker.steps)
    spoken = [_spoken(call, speaker, part, steps, n) for n, part in enumerate(parts, 1)]
    samples = sound.joined(spoken, speaker.rate)
    made = save_sound(call.work, samples, speaker.rate)
    facts = {"seconds": round(len(samples) / speaker.rate, 2), "sample_rate": speaker.rate}
    return Product((made,), facts | ({"parts": len(parts)} if len(parts) > 1 else {}))


def speaker_of(call: Call) -> Speaker:
    """Return what speaks with the class that is loaded."""
    module = import_module(f"{_HERE}.{_SPEAKERS.get(call.loaded.name, 'general')}")
    speaker: Speaker = module.speaker(call)
    return speaker


def _spoken(call: Call, speaker: Speaker, part: str, steps: Steps, number: int) -> Any:
    """Speak one part. Each begins with the same seed, so that a voice that is drawn stays."""
    call.work.check()
    call.seeded()
    with watched(steps, *speaker.modules):
        heard = speaker.speak(part)
    steps.reach(number * speaker.steps)
    samples = [] if heard is None else heard.detach().float().cpu().numpy().reshape(-1)
    if not len(samples):
        raise BadOutput(
            f"{call.loaded.name} said nothing to {part[:60]!r}.", "Try another seed or other words."
        )
    return samples
