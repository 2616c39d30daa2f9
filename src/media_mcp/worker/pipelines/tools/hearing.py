"""Text from speech without a download: pocketsphinx and the English model that it brings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy

from media_mcp.errors import BadInput
from media_mcp.worker import encode, subtitles
from media_mcp.worker.pipelines.tools.film import tell
from media_mcp.worker.pipelines.tools.tracks_io import Track, open_track, read, regular
from media_mcp.worker.protocol import Made
from media_mcp.worker.residency import Plan
from media_mcp.worker.transcript import Segment, Transcript, Word
from media_mcp.worker.work import Product, Work

RATE = 16_000  # hertz that the model was made for
SIZE = 80_000_000  # bytes of the model in memory
FRAMES = 100  # that the decoder makes of a second
PIECE = 30.0  # seconds decoded at once, at most; it ends at a pause
PAUSE = 0.3  # seconds
MOST_TEXT = 400  # characters in the facts; the file has all of it


def transcribe(
    work: Work, audio_url: Path, timestamps: str = "segment", subtitles: str = "none"
) -> Product:
    """Write down English speech, with the times of stretches or words and as SRT or VTT."""
    track = open_track(audio_url)
    size = Plan(SIZE, _load)
    with work.residency.hold("pocketsphinx", lambda: size, model=work.run.model) as resident:
        heard = list(_segments(work, resident.value, track))
    if not heard:
        raise BadInput("audio_url: no word was understood in it.", "It must be clear English.")
    transcript = Transcript(tuple(heard), track.seconds, "en")
    return Product(tuple(_files(work, transcript, timestamps, subtitles)), _facts(transcript))


def _load() -> Any:
    from pocketsphinx import Decoder

    return Decoder(samprate=RATE, loglevel="FATAL")


def _segments(work: Work, decoder: Any, track: Track) -> Iterator[Segment]:
    total = max(1, round(track.seconds))
    for start, samples in _pieces(track):
        words = _words(work, decoder, samples)
        if words:
            text = " ".join(word.text for word in words)
            yield Segment(words[0].start, words[-1].end, text, words=words).later(start)
        tell(work, min(total, round(start + len(samples) / RATE)), total)


def _pieces(track: Track) -> Iterator[tuple[float, Any]]:
    """Cut a recording at its pauses: yield start (seconds) and samples of what lies between."""
    window, held, quiet, at = round(PAUSE / 3 * RATE), [], 0, 0
    loudest = 1e-4
    for block in regular(read(track, rate=RATE, channels=1), window):
        samples = block[0]
        level = float(numpy.sqrt(numpy.mean(samples**2)))
        loudest = max(loudest * 0.999, level)
        quiet = quiet + 1 if level < 0.05 * loudest else 0
        held.append(samples)
        seconds = sum(map(len, held)) / RATE
        if (quiet >= 3 and seconds > 3) or seconds >= PIECE:
            yield at / RATE, numpy.concatenate(held)
            at += round(seconds * RATE)
            held = []
    if held:
        yield at / RATE, numpy.concatenate(held)


def _words(work: Work, decoder: Any, samples: Any) -> tuple[Word, ...]:
    data = (samples.clip(-1, 1) * 32767).astype(numpy.int16)
    decoder.start_utt()
    try:
        for at in range(0, len(data), RATE // 2):
            decoder.process_raw(data[at : at + RATE // 2].tobytes(), False, False)
            work.check()
    finally:
        decoder.end_utt()
    return tuple(
        Word(part.start_frame / FRAMES, (part.end_frame + 1) / FRAMES, part.word.partition("(")[0])
        for part in decoder.seg() or ()
        if part.word[:1] not in "<["
    )


def _files(work: Work, transcript: Transcript, times: str, form: str) -> Iterator[Made]:
    told = transcript.as_json(times=times != "none")
    if times != "word":
        told.pop("words", None)
    text = json.dumps(told, indent=1)
    yield encode.save_text(work, text, "json", "application/json", role="text")
    if form != "none":
        written = subtitles.write(form, transcript.segments)
        yield encode.save_text(work, written, form, subtitles.FORMS[form], role="subtitles")


def _facts(transcript: Transcript) -> dict[str, Any]:
    text = transcript.text
    return {
        "text": text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}…",
        "words": sum(len(segment.words) for segment in transcript.segments),
        "seconds": round(transcript.duration, 3),
        "language": "en",
    }
