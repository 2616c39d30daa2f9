"""VITS and the MMS voices: a sentence in one pass; quick, one language for each set of weights."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from media_mcp.worker import sentences
from media_mcp.worker.pipelines.faults import missing_extra
from media_mcp.worker.pipelines.transformers.calling import Call, wrong
from media_mcp.worker.pipelines.transformers.speaking.speaker import Speaker, unknown_voice
from media_mcp.worker.pipelines.watching import set_to


class Vits(Speaker):
    most = 240

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        model = call.loaded.model
        self._voice = self._speaker_id(call.take("voice", "speaker_id"))
        speed = float(call.take("speed", "speaking_rate", default=1.0))
        if not speed > 0:
            raise wrong("speed", f"{speed:g} is not above 0")
        self._settings = {"speaking_rate": model.speaking_rate * speed}
        for name in ("noise_scale", "noise_scale_duration"):
            if (value := call.take(name)) is not None:
                self._settings[name] = float(value)
        self._check_packages()

    @property
    def rate(self) -> int:
        return int(self.call.loaded.model.config.sampling_rate)

    def _speaker_id(self, given: Any) -> int | None:
        count = int(self.call.loaded.model.config.num_speakers)
        if given is None:
            return None
        known = [str(number) for number in range(count if count > 1 else 0)]
        if str(given) not in known:
            raise unknown_voice(given, known)
        return int(given)

    def _check_packages(self) -> None:
        tokenizer = self.call.loaded.processor
        for wanted, package in (("is_uroman", "uroman"), ("phonemize", "phonemizer")):
            if getattr(tokenizer, wanted, False) and find_spec(package) is None:
                raise missing_extra(package)

    def parts(self, text: str) -> list[str]:
        """Return the sentences, each a step."""
        return [p for one in sentences.sentences(text) for p in sentences.parts(one, self.most)]

    def speak(self, part: str) -> Any:
        loaded = self.call.loaded
        inputs = loaded.processor(part, return_tensors="pt")
        if not (inputs["input_ids"] != loaded.processor.pad_token_id).any():
            raise wrong(
                "text",
                f"this voice knows no letter of {part[:40]!r}",
                "Take a voice of the text's language.",
            )
        more = {} if self._voice is None else {"speaker_id": self._voice}
        with set_to(loaded.model, self._settings):
            return loaded.model(**loaded.put(inputs), **more).waveform[0]


def speaker(call: Call) -> Speaker:
    return Vits(call)
