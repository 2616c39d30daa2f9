"""Bark: three models in a row, with laughs and sighs; voices by the names in its weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from media_mcp.worker.pipelines.transformers.calling import Call
from media_mcp.worker.pipelines.transformers.speaking.speaker import Speaker, unknown_voice

SEMANTIC = 768  # tokens at most, as its authors have set it


class Bark(Speaker):
    most = 180  # some thirteen seconds, more than which it cannot keep in mind

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self._voice = self._preset(call.take("voice"))
        self._options = call.options(
            "semantic_temperature", "coarse_temperature", "semantic_max_new_tokens"
        )
        # Two coarse codes of 75 a second for each semantic one of 49.9; of fine ones some passes.
        self.steps = int(self._options.get("semantic_max_new_tokens", SEMANTIC) * 4)

    @property
    def rate(self) -> int:
        return int(self.call.loaded.model.generation_config.sample_rate)

    @property
    def modules(self) -> Sequence[Any]:
        model = self.call.loaded.model
        return (model.semantic, model.coarse_acoustics, model.fine_acoustics)

    def _preset(self, given: str | None) -> str | None:
        """Return a voice of the weights by its name, never a path: the processor reads those."""
        known = list(self.call.loaded.processor.available_voice_presets)
        if given is not None and given not in known:
            raise unknown_voice(given, known)
        return given

    def speak(self, part: str) -> Any:
        loaded = self.call.loaded
        made = loaded.processor(part, voice_preset=self._voice, return_tensors="pt")
        history = made.pop("history_prompt", None)
        more = {} if history is None else {"history_prompt": loaded.put(history)}
        return loaded.model.generate(**loaded.put(made), **more, **self._options)[0]


def speaker(call: Call) -> Speaker:
    return Bark(call)
