"""Dia: two people by [S1] and [S2]; codes of sound by a model, sound by its audio tokenizer."""

from __future__ import annotations

import re
from typing import Any

from media_mcp.worker import sentences
from media_mcp.worker.pipelines.transformers.calling import Call, wrong
from media_mcp.worker.pipelines.transformers.speaking.speaker import Speaker, Writing

MARK = r"\[S\d\]"


class Dia(Writing):
    most = 320  # characters in some twenty seconds, beyond which it hurries

    def __init__(self, call: Call) -> None:
        voices = call.files("audio")
        said = str(call.take("reference_text", default=""))
        super().__init__(call)
        if voices and not said:
            raise wrong(
                "reference_text", "what the recording of the voice says is not given", "Add it."
            )
        if len(voices) > 1:
            raise wrong("audio", f"it holds {len(voices)} recordings, not one", "Join them.")
        self._voice = self._recording(voices[0]) if voices else None
        self._said = f"{_marked(said)} " if said else ""

    def _recording(self, path: str) -> Any:
        from media_mcp.worker import sound

        return sound.read(path, self.rate, most=30.0).samples

    def parts(self, text: str) -> list[str]:
        """Return whole turns together as far as they fit; each part says who speaks."""
        held: list[str] = []
        for turn in _turns(_marked(text), self.most):
            if held and len(held[-1]) + len(turn) < self.most:
                held[-1] += f" {turn}"
            else:
                held.append(turn)
        return held

    def speak(self, part: str) -> Any:
        loaded = self.call.loaded
        sound = {} if self._voice is None else {"audio": self._voice}
        made = loaded.processor(text=[self._said + part], **sound, return_tensors="pt")
        inputs = loaded.put(made)
        codes = loaded.model.generate(**inputs, **self.sampling())
        before = None
        if self._voice is not None:
            before = loaded.processor.get_audio_prompt_len(inputs["decoder_attention_mask"])
        return loaded.processor.batch_decode(codes, audio_prompt_len=before)[0]


def _marked(text: str) -> str:
    """Return a script that begins with who speaks."""
    return text if re.match(rf"\s*{MARK}", text) else f"[S1] {text}"


def _turns(script: str, most: int) -> list[str]:
    """Return the turns of a script, long ones cut at their sentences."""
    return [
        f"{turn[:4]} {piece}"
        for turn in sentences.turns(script, MARK)
        for piece in sentences.parts(turn[4:], most - 5)
    ]


def speaker(call: Call) -> Speaker:
    return Dia(call)
