"""The embedded model without anything around it: reads calls as JSON lines, writes the seconds."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import diffusers
import torch
import transformers
from diffusers import DiffusionPipeline

from wire import cores


def main() -> None:
    folder, fixed, out = Path(sys.argv[1]), json.loads(sys.argv[2]), Path(sys.argv[3])
    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or cores()))
    pipe = DiffusionPipeline.from_pretrained(str(folder), torch_dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    for line in sys.stdin:
        print(draw(pipe, json.loads(line), fixed, out), flush=True)


def draw(pipe: Any, call: dict[str, Any], fixed: dict[str, Any], out: Path) -> float:
    """Draw one picture, write it to a file, and return the seconds."""
    started = perf_counter()
    generator = torch.Generator("cpu").manual_seed(call["seed"])
    result = pipe(
        prompt=call["prompt"],
        num_inference_steps=call["steps"],
        guidance_scale=call["guidance"],
        generator=generator,
        **fixed,
    )
    result.images[0].save(out)
    return perf_counter() - started


if __name__ == "__main__":
    main()
