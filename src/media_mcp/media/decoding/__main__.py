"""The decoder's process: answers one question after the other, on one socket, until it closes."""

from __future__ import annotations

import base64
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from media_mcp.errors import BadMedia
from media_mcp.media.decoding import limits
from media_mcp.media.decoding.protocol import (
    Answer,
    Ask,
    Draw,
    Drawn,
    Found,
    Read,
    Ready,
    Refusal,
    decode_ask,
    encode_answer,
)

HUNGRY = Refusal(
    f"The file needs more memory to be decoded than {limits.MEMORY / 2**30:g} GiB.",
    "Make a smaller one.",
)


def serve(questions: BinaryIO, answers: BinaryIO, grant: Callable[[], None]) -> None:
    """Answer until the questions end; `grant` allows what one more file may take."""
    answers.write(encode_answer(Ready()))
    answers.flush()
    for line in questions:
        grant()
        answers.write(encode_answer(reply(decode_ask(line))))
        answers.flush()


def reply(ask: Ask) -> Answer:
    """Answer one question. What the decoders did not foresee is told apart, for the log."""
    try:
        return _read(ask) if isinstance(ask, Read) else _draw(ask)
    except BadMedia as error:
        return Refusal(error.message, error.hint)
    except MemoryError:
        return HUNGRY
    except OSError as error:
        why = (error.strerror or "unknown").lower()
        return Refusal(f"The file cannot be opened: {why}.", "See that it is still there.")
    except Exception as error:  # hostile bytes bring out anything; the next file is another one
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{type(error).__name__} in {Path(last.filename).name}:{last.lineno}"
        message = "The file cannot be read: its data are damaged."
        return Refusal(message, "Make or export it again.", where)


def _read(ask: Read) -> Found:
    from media_mcp.media.decoding.probing import probe_file

    if not ask.look:
        return Found(probe_file(Path(ask.path), ask.claimed))
    from media_mcp.media.decoding.looks import read

    seen = read(Path(ask.path), ask.claimed, draw=ask.draw)
    return Found(seen.facts, seen.flaws, _text(seen.jpeg))


def _draw(ask: Draw) -> Drawn:
    from media_mcp.media.decoding.drawing import render

    return Drawn(_text(render(ask.sights)))


def _text(jpeg: bytes | None) -> str | None:
    return None if jpeg is None else base64.b64encode(jpeg).decode()


def main() -> None:
    """Import the decoders, give up all they do not need, and serve."""
    import av  # noqa: F401
    import PIL.Image

    PIL.Image.init()
    limits.confine()
    serve(sys.stdin.buffer, sys.stdout.buffer, limits.grant)


if __name__ == "__main__":
    main()
