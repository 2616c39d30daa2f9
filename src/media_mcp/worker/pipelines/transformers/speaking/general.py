"""Any other class that transformers lists as one that speaks, called in the common way."""

from __future__ import annotations

from typing import Any

from media_mcp.errors import BadOutput
from media_mcp.worker.pipelines.transformers.calling import Call
from media_mcp.worker.pipelines.transformers.speaking.speaker import Speaker, Writing


class General(Writing):
    """A processor takes text; what comes back is sound, or codes that the processor decodes."""

    @property
    def rate(self) -> int:
        config = self.call.loaded.model.config
        for holder in (config, getattr(config, "codec_config", None)):
            if rate := getattr(holder, "sampling_rate", None) or getattr(
                holder, "sample_rate", None
            ):
                return int(rate)
        return self.call.loaded.rate

    def speak(self, part: str) -> Any:
        loaded = self.call.loaded
        inputs = loaded.put(loaded.processor(text=part, return_tensors="pt"))
        if not loaded.model.can_generate():
            return _sound(loaded.model(**inputs))
        made = loaded.model.generate(**inputs, **self.sampling())
        found = _sound(made)
        if found.is_floating_point():
            return found
        return loaded.processor.decode(found)


def _sound(made: Any) -> Any:
    """Return the sound in what a model gave back, or the codes of it."""
    for name in ("audio", "waveform", "sequences"):
        if (found := getattr(made, name, None)) is not None:
            return found[0] if isinstance(found, list | tuple) else found
    found = made[0] if isinstance(made, list | tuple) else made
    if not hasattr(found, "is_floating_point"):
        raise BadOutput("The model returned nothing that is sound.", "Report it with its name.")
    return found


def speaker(call: Call) -> Speaker:
    return General(call)
