"""Speech to text: a recording is heard window by window; what was said becomes files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib import import_module
from math import ceil
from typing import Any

from media_mcp.worker import sound, subtitles
from media_mcp.worker.encode import save_text
from media_mcp.worker.pipelines.transformers.calling import Call, wrong
from media_mcp.worker.pipelines.transformers.hearing.hearer import Hearer, Within
from media_mcp.worker.pipelines.watching import Steps
from media_mcp.worker.protocol import Made
from media_mcp.worker.transcript import Transcript, joined
from media_mcp.worker.work import Product

SHOWN = 1500  # characters of a transcript that go with the answer; the file holds all of it
_HERE = "media_mcp.worker.pipelines.transformers.hearing"
_HEARERS: Mapping[str, str] = {
    "WhisperForConditionalGeneration": "whisper",
    "VibeVoiceAsrForConditionalGeneration": "speakers",
    "MossTranscribeDiarizeForConditionalGeneration": "speakers",
    "Nemotron3_5TranscribeForConditionalGeneration": "speakers",
}


def run(call: Call) -> Product:
    """Write down `audio`. `timestamps` is none, segment or word; `subtitles` none, srt or vtt."""
    paths = call.files("audio")
    if len(paths) != 1:
        raise wrong("audio", f"it holds {len(paths)} recordings, not one", "Send them one by one.")
    form = str(call.take("subtitles", default="none"))
    times = str(call.take("timestamps", default="segment"))
    transcript = hear(call, paths[0], times)
    made = [_written(call, transcript, times), *_subtitled(call, transcript, form)]
    return Product(tuple(made), _facts(transcript))


def hear(call: Call, path: str, times: str) -> Transcript:
    """Return what is said in the recording at `path`, in which speech must be."""
    hearer = hearer_of(call, times)
    length = sound.seconds(path)
    steps = Steps(call.work, ceil(length) if length > hearer.seconds else hearer.tokens(length))
    parts, last, heard = [], 0.0, False
    for window in sound.windows(path, hearer.rate, hearer.seconds, most=hearer.most):
        last = window.start + window.seconds
        if not window.silent:  # in which models hear what nobody said
            heard = True
            parts.append((window.start, hearer.hear(window, _inner(steps, window, length, hearer))))
        if length > hearer.seconds:
            steps.reach(int(last))
    if not heard:
        raise sound.silent("audio")
    steps.end()
    return Transcript(joined(parts), last, hearer.language)


def hearer_of(call: Call, times: str) -> Hearer:
    """Return what hears with the class that is loaded."""
    name = call.loaded.name
    module = _HEARERS.get(name) or ("frames" if _has_frames(name) else "prompted")
    hearer: Hearer = import_module(f"{_HERE}.{module}").hearer(call, times)
    return hearer


def _has_frames(name: str) -> bool:
    """Whether a class says something of every moment: CTC and transducers."""
    return name.endswith(("ForCTC", "ForRNNT", "ForTDT"))


def _inner(steps: Steps, window: sound.Window, length: float, hearer: Hearer) -> Steps:
    """Return what counts within a window: tokens where there is but one, else seconds."""
    return steps if length <= hearer.seconds else Within(steps, window.start)


def _written(call: Call, transcript: Transcript, times: str) -> Made:
    """Write the transcript as JSON, or as text where the card or the call wants that."""
    wish = call.work.run.arguments.get("output_format") or (
        call.work.run.spec.get("output") or {}
    ).get("format")
    if wish == "txt":
        return save_text(call.work, transcript.text + "\n", "txt", "text/plain")
    told = json.dumps(transcript.as_json(times=times != "none"), ensure_ascii=False, indent=1)
    return save_text(call.work, told, "json", "application/json")


def _subtitled(call: Call, transcript: Transcript, form: str) -> Iterator[Made]:
    if form == "none":
        return
    if form not in subtitles.FORMS:
        raise wrong("subtitles", f"{form[:20]!r} is none of none, {', '.join(subtitles.FORMS)}")
    text = subtitles.write(form, transcript.segments)
    yield save_text(call.work, text, form, subtitles.FORMS[form], role="subtitles")


def _facts(transcript: Transcript) -> dict[str, Any]:
    text = transcript.text
    told: dict[str, Any] = {
        "text": text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…",
        "seconds_heard": round(transcript.duration, 2),
        "segments": len(transcript.segments),
    }
    if transcript.language:
        told["language"] = transcript.language
    return told | ({"speakers": len(transcript.speakers)} if transcript.speakers else {})
