"""Classes that tell who speaks and when, in one pass over a long recording: VibeVoice ASR, MOSS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from media_mcp.worker.pipelines.transformers.calling import Call
from media_mcp.worker.pipelines.transformers.hearing.hearer import Hearer, whole
from media_mcp.worker.pipelines.transformers.hearing.prompted import Prompted
from media_mcp.worker.pipelines.watching import Steps
from media_mcp.worker.sound import Window
from media_mcp.worker.transcript import Segment

HOUR = 3600.0  # seconds in which speakers are known by their voices; in two they would be strangers


class Speakers(Prompted):
    seconds = HOUR
    most = HOUR

    def hear(self, window: Window, steps: Steps) -> Sequence[Segment]:
        told = self._parsed(self.written(window, steps))
        if isinstance(told, str):  # the model kept to no form: what it wrote is all there is
            return whole(window, told)
        return list(_segments(told, window.seconds))

    def _parsed(self, tokens: Any) -> Any:
        processor = self.call.loaded.processor
        text = processor.tokenizer.decode(tokens[0], skip_special_tokens=True)
        return processor.extract_speaker_dict(text)


def _segments(told: Sequence[Any], longest: float) -> Iterator[Segment]:
    for one in told:
        start, end = (min(max(0.0, _number(one.get(k))), longest) for k in ("Start", "End"))
        speaker = one.get("Speaker")
        name = "" if speaker is None else f"Speaker {speaker}"
        yield Segment(start, max(start, end), str(one.get("Content") or "").strip(), name)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def hearer(call: Call, times: str) -> Hearer:
    return Speakers(call, times)
