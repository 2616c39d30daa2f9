"""Whisper: 99 languages, translation into English, times of stretches and of words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import ceil
from typing import Any

from media_mcp.worker.pipelines.transformers.calling import Call, wrong
from media_mcp.worker.pipelines.transformers.hearing.hearer import Hearer, Within, language_of
from media_mcp.worker.pipelines.watching import Steps, watched
from media_mcp.worker.sound import Window
from media_mcp.worker.transcript import Segment, Word

TASKS = ("transcribe", "translate")
_SHORT = 30.0  # seconds that Whisper hears at once; it moves on by itself through longer ones
_FRAMES = 3000  # of features, in that time
_UNFINISHED = "\ufffd"  # what a letter is of which bytes are missing


class Whisper(Hearer):
    """Windows of ten minutes, through which Whisper itself moves, from pause to pause."""

    seconds = 600.0
    finest = "word"

    def __init__(self, call: Call, times: str) -> None:
        super().__init__(call, times)
        config = call.loaded.model.generation_config
        self.task = str(call.take("task", default="transcribe"))
        if self.task not in TASKS:
            raise wrong("task", f"{self.task[:20]!r} is none of {', '.join(TASKS)}")
        self._many = bool(getattr(config, "is_multilingual", False))
        self._given = self._language(call.take("language"), config)
        if times == "word" and not getattr(config, "alignment_heads", None):
            raise wrong("timestamps", "these weights give no times of words", "Use segment.")
        self._options = call.options("prompt_ids")

    def tokens(self, seconds: float) -> int:
        most = int(self._config.max_length or 448)
        return most * max(1, ceil(seconds / _SHORT))

    def _language(self, given: Any, config: Any) -> str:
        """Return the code of the language that is spoken, empty where it is to be recognised."""
        if self._many:
            return "" if given in (None, "", "auto") else language_of(given, _known(config))
        if self.task == "translate":
            raise wrong("task", "these weights know English only and cannot translate")
        return language_of(given or "en", {"en": "english"})

    def hear(self, window: Window, steps: Steps) -> Sequence[Segment]:
        model, inputs = self.call.loaded.model, self._inputs(window)
        self.language = self.language or self._given or self._recognised(inputs)
        spoken = {"task": self.task, "language": self.language} if self._many else {}
        with watched(steps, model):
            told = model.generate(
                **inputs,
                **spoken,
                **self._options,
                return_timestamps=self.times != "none" or window.seconds > _SHORT,
                return_token_timestamps=self.times == "word",
                return_segments=True,
                monitor_progress=_monitor(steps),
            )
        return list(self._segments(told["segments"][0], window))

    def _inputs(self, window: Window) -> dict[str, Any]:
        long = {"truncation": False, "padding": "longest"} if window.seconds > _SHORT else {}
        made = self.call.loaded.processor(
            window.samples,
            sampling_rate=window.rate,
            return_tensors="pt",
            return_attention_mask=True,
            **long,
        )
        return self.call.loaded.put(made)

    def _recognised(self, inputs: dict[str, Any]) -> str:
        """Return the language of the first half minute, which holds for the whole recording."""
        model = self.call.loaded.model
        heard = model.detect_language(input_features=inputs["input_features"][:, :, :_FRAMES])
        tokens = {number: token for token, number in self._config.lang_to_id.items()}
        return str(tokens[int(heard[0])]).strip("<|>")

    @property
    def _config(self) -> Any:
        return self.call.loaded.model.generation_config

    def _segments(self, told: Sequence[Any], window: Window) -> Iterator[Segment]:
        tokenizer = self.call.loaded.processor.tokenizer
        for one in told:
            text = tokenizer.decode(one["tokens"], skip_special_tokens=True).strip()
            start, end = (min(float(one[k]), window.seconds) for k in ("start", "end"))
            words = tuple(self._words(one)) if self.times == "word" else ()
            yield Segment(start, max(start, end), text, words=words)

    def _words(self, told: Any) -> Iterator[Word]:
        """Join tokens into words: one begins with a blank, and none in the middle of a letter."""
        tokenizer = self.call.loaded.processor.tokenizer
        ends = told["token_timestamps"].tolist()
        first_special = min(tokenizer.all_special_ids)
        held: list[int] = []
        text, start = "", 0.0
        for token, moment in zip(told["tokens"].tolist(), ends, strict=False):
            if token >= first_special:
                continue
            piece = tokenizer.decode([token])
            if held and piece.startswith(" ") and _UNFINISHED not in text and text.strip():
                yield Word(start, moment, text.strip())
                held = []
            start = start if held else moment
            held.append(token)
            text = tokenizer.decode(held)
        if text.strip() and held:
            yield Word(start, max(start, ends[-1]), text.strip())


def _monitor(steps: Steps) -> Callable[[Any], None] | None:
    """Return what tells the seconds that Whisper has moved on; its frames are of 10 ms."""
    if not isinstance(steps, Within):
        return None
    return lambda told: steps.passed(float(told[0][0]) / 100)


def _known(config: Any) -> dict[str, str]:
    """Return the languages that these weights know: codes and names."""
    from transformers.models.whisper.tokenization_whisper import LANGUAGES

    codes = [token.strip("<|>") for token in config.lang_to_id]
    return {code: LANGUAGES.get(code, code) for code in codes}


def hearer(call: Call, times: str) -> Hearer:
    return Whisper(call, times)
