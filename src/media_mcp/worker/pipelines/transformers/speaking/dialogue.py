"""Classes that are told what to say as a conversation: VibeVoice, CSM and Higgs Audio.

A script names who speaks, as `Speaker 0: …`; recordings are the speakers' voices, in order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from media_mcp.worker import sentences
from media_mcp.worker.pipelines.transformers.calling import Call, wrong
from media_mcp.worker.pipelines.transformers.speaking.speaker import Speaker, Writing

MARK = r"(?m)^\s*(?:Speaker\s*)?\[?(\d)\]?\s*:\s*"
Turn = Mapping[str, Any]


class Dialogue(Writing):
    voices_at_most = 4

    def __init__(self, call: Call) -> None:
        self.call = call
        self.voices = self.recordings("audio", "voice_urls")
        if len(self.voices) > self.voices_at_most:
            raise wrong("audio", f"it holds {len(self.voices)} of at most {self.voices_at_most}")
        self.said = str(call.take("reference_text", default=""))
        super().__init__(call)

    def prepared(self, conversation: Sequence[Turn]) -> dict[str, Any]:
        """Return what the model is called with for a conversation."""
        loaded = self.call.loaded
        made = loaded.processor.apply_chat_template(
            list(conversation), tokenize=True, return_dict=True, return_tensors="pt"
        )
        return loaded.put(made)


class VibeVoice(Dialogue):
    """A whole script at once: voices stay over an hour, which is what the model is for."""

    def parts(self, text: str) -> list[str]:
        return [text]

    @property
    def longest(self) -> int:
        return int(self.call.loaded.model.config.text_config.max_position_embeddings)

    def speak(self, part: str) -> Any:
        inputs = self.prepared(list(self._turns(part)))
        given = inputs["input_ids"].shape[1]
        room = self.longest - given
        if room < 1:
            raise wrong("text", f"it has {given} tokens of at most {self.longest}", "Shorten it.")
        options = self.sampling() | {"max_new_tokens": min(self.steps, room)}
        return self.call.loaded.model.generate(**inputs, **options)[0]

    def _turns(self, script: str) -> Iterator[Turn]:
        """Yield the turns; the first of each speaker brings the speaker's voice."""
        heard: set[str] = set()
        for name, text in spoken_by(script):
            content: list[Any] = [{"type": "text", "text": text}]
            voice = self._voice(name)
            if voice is not None and name not in heard:
                content.append({"type": "audio", "audio": voice})
            heard.add(name)
            yield {"role": name, "content": content}

    def _voice(self, name: str) -> Any:
        return self.voices[int(name)] if int(name) < len(self.voices) else None


class Csm(Dialogue):
    """Turn by turn; a recording and what it says come first, as an earlier turn of the talk."""

    voices_at_most = 1
    longest_seconds = 60

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        if self.voices and not self.said:
            raise wrong("reference_text", "what the recording says is not given", "Add it.")

    @property
    def longest(self) -> int:
        return round(self.longest_seconds * 12.5)  # frames a second, of its codec

    def parts(self, text: str) -> list[str]:
        return [
            f"{name}: {piece}"
            for name, turn in spoken_by(text)
            for piece in sentences.parts(turn, self.most)
        ]

    def speak(self, part: str) -> Any:
        name, _, text = part.partition(": ")
        loaded = self.call.loaded
        if loaded.processor.chat_template:
            inputs = self.prepared([*self._before(name), _turn(name, text)])
        else:
            made = loaded.processor(f"[{name}]{text}", add_special_tokens=True, return_tensors="pt")
            inputs = loaded.put(made)
        return loaded.model.generate(**inputs, **self.sampling(), output_audio=True)[0]

    def _before(self, name: str) -> list[Turn]:
        if not self.voices:
            return []
        first = _turn(name, self.said)
        return [{**first, "content": [*first["content"], _heard(self.voices[0])]}]


class Higgs(Dialogue):
    """In the manner its authors prompt it: an instruction, a scene, an example, the text."""

    voices_at_most = 1
    most = 500

    def __init__(self, call: Call) -> None:
        self._scene = str(call.take("scene", default="Audio is recorded from a quiet room."))
        super().__init__(call)
        if self.voices and not self.said:
            raise wrong("reference_text", "what the recording says is not given", "Add it.")

    def speak(self, part: str) -> Any:
        loaded = self.call.loaded
        inputs = self.prepared([*self._before(), _turn("user", part)])
        codes = loaded.model.generate(**inputs, **self.sampling())
        return loaded.processor.batch_decode(getattr(codes, "sequences", codes))[0]

    def _before(self) -> list[Turn]:
        told: list[Turn] = [
            _turn("system", "Generate audio following instruction."),
            _turn("scene", self._scene),
        ]
        if self.voices:
            told.append(_turn("user", self.said))
            told.append({"role": "assistant", "content": [_heard(self.voices[0])]})
        return told


def spoken_by(script: str) -> list[tuple[str, str]]:
    """Return the turns of a script: who speaks, by a digit, and what is said."""
    found = list(re.finditer(MARK, script))
    if not found:
        return [("0", script.strip())]
    first = script[: found[0].start()].strip()
    ends = [match.start() for match in found[1:]] + [len(script)]
    turns = [(m[1], script[m.end() : end].strip()) for m, end in zip(found, ends, strict=True)]
    return [turn for turn in [("0", first), *turns] if turn[1]]


def _turn(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": [{"type": "text", "text": text}]}


def _heard(samples: Any) -> Turn:
    return {"type": "audio", "audio": samples}


_KINDS: Mapping[str, type[Dialogue]] = {
    "CsmForConditionalGeneration": Csm,
    "HiggsAudioV2ForConditionalGeneration": Higgs,
    "VibeVoiceForConditionalGeneration": VibeVoice,
}


def speaker(call: Call) -> Speaker:
    return _KINDS[call.loaded.name](call)
