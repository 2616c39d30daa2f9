"""Classes that say something of every moment: CTC, and the transducers RNN-T and TDT (Parakeet)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil
from typing import Any

from media_mcp.worker.pipelines.transformers.calling import Call, accepts
from media_mcp.worker.pipelines.transformers.hearing.hearer import Hearer, whole
from media_mcp.worker.pipelines.watching import Steps, watched
from media_mcp.worker.sound import Window
from media_mcp.worker.transcript import Segment, Word

_STEP = 0.04  # seconds: no class looks more often, so that this bounds the tokens of a window


class Frames(Hearer):
    finest = "word"

    def tokens(self, seconds: float) -> int:
        return ceil(seconds / _STEP) if self._generates else 1

    @property
    def _generates(self) -> bool:
        return not self.call.loaded.name.endswith("ForCTC")

    def hear(self, window: Window, steps: Steps) -> Sequence[Segment]:
        loaded = self.call.loaded
        made = loaded.processor(window.samples, sampling_rate=window.rate, return_tensors="pt")
        inputs = loaded.put(made)
        with watched(steps, loaded.model):
            text, words = self._heard(inputs, window)
        if self.times != "word":
            return whole(window, text)
        return [Segment(0.0, window.seconds, text.strip(), words=words)] if text.strip() else []

    def _heard(self, inputs: dict[str, Any], window: Window) -> tuple[str, tuple[Word, ...]]:
        model, processor = self.call.loaded.model, self.call.loaded.processor
        if not self._generates:
            logits = model(**inputs).logits
            return self._spelled(logits.argmax(dim=-1), window, logits.shape[1])
        told = model.generate(**inputs)
        text, moments = processor.decode(
            told.sequences, durations=told.durations, skip_special_tokens=True
        )
        pieces = [(one["start"], one["end"], one["token"]) for one in moments[0]]
        return text[0], tuple(_words(pieces, window.seconds))

    def _spelled(self, ids: Any, window: Window, frames: int) -> tuple[str, tuple[Word, ...]]:
        """Read what CTC says of each moment: the same again is no new letter, the pad is none."""
        tokenizer = getattr(self.call.loaded.processor, "tokenizer", self.call.loaded.processor)
        text = tokenizer.batch_decode(ids, **_grouped(tokenizer))[0]
        pad, step, last = tokenizer.pad_token_id, window.seconds / frames, None
        pieces = []
        for at, token in enumerate(ids[0].tolist()):
            if token not in (pad, last):
                pieces.append((at * step, (at + 1) * step, _piece(tokenizer, token)))
            last = token
        return text, tuple(_words(pieces, window.seconds))


def _grouped(tokenizer: Any) -> dict[str, Any]:
    """Return how a tokenizer is told to leave repetitions out, where it has to be."""
    more = {"group_tokens": True} if accepts(tokenizer._decode, "group_tokens") else {}
    return {"skip_special_tokens": True, **more}


def _piece(tokenizer: Any, token: int) -> str:
    """Return a token with the blank that begins a word as a blank."""
    return str(tokenizer.convert_ids_to_tokens(token)).replace("▁", " ").replace("|", " ")


def _words(pieces: Sequence[tuple[float, float, str]], longest: float) -> Iterator[Word]:
    held, start, end = "", 0.0, 0.0
    for begins, ends, piece in pieces:
        if piece.startswith(" ") and held.strip():
            yield Word(start, min(end, longest), held.strip())
            held = ""
        start = start if held.strip() else begins
        held, end = held + piece, ends
    if held.strip():
        yield Word(start, min(end, longest), held.strip())


def hearer(call: Call, times: str) -> Hearer:
    return Frames(call, times)
