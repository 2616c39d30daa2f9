"""Scores the model on 200 held-out prompts and on hand-written ones, against pixels.

Run `python training/evaluate.py`; it writes score.json and samples.png beside itself.
"""

import argparse
import json
import random
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from diffusers import PRXPixelPipeline
from PIL import Image

from captions import caption
from checks import check
from draw import render
from export import load_pipeline
from phrases import PHRASES
from sampling import sample_wish
from spec import SIDE, Spec
from wishes import resolve

HERE = Path(__file__).parent
MODEL = HERE.parent / "src" / "media_mcp" / "worker" / "sketch"
SEED = 4242
# How many of the 200 prompts are of which family.
FAMILIES = {"one": 40, "several": 50, "counted": 30, "pattern": 35, "scene": 45}
CORE = (
    "background",
    "binding",
    "position",
    "count",
    "sky",
    "weather",
    "ground",
    "backdrop",
    "things",
)
Picture: TypeAlias = npt.NDArray[np.uint8]
Case: TypeAlias = tuple[str, Spec]


def family(spec: Spec) -> str:
    """The family of a description."""
    if spec.kind != "shapes":
        return spec.kind
    if len(spec.items) == 1:
        return "one"
    same = len({(i.kind, i.colour) for i in spec.items}) == 1
    return "counted" if same else "several"


def held_out_cases(seed: int) -> list[Case]:
    """Prompts whose content the training never saw, each content once, in fixed shares."""
    rng = random.Random(seed)
    left = dict(FAMILIES)
    cases: list[Case] = []
    asked: set[tuple[object, ...]] = set()
    while any(left.values()):
        wish = sample_wish(rng)
        spec = resolve(wish)
        if spec.held_out() and left[family(spec)] and spec.content() not in asked:
            asked.add(spec.content())
            left[family(spec)] -= 1
            cases.append((caption(wish, rng), spec))
    return cases


def draw_all(
    pipeline: PRXPixelPipeline, prompts: Iterable[str], steps: int, guidance: float
) -> list[Picture]:
    """One picture for every prompt, each with its own seed."""
    return [draw_one(pipeline, p, seed, steps, guidance) for seed, p in enumerate(prompts)]


def draw_one(
    pipeline: PRXPixelPipeline, prompt: str, seed: int, steps: int, guidance: float
) -> Picture:
    """One picture, through the public call of the pipeline."""
    image = pipeline(
        prompt,
        height=SIDE,
        width=SIDE,
        num_inference_steps=steps,
        guidance_scale=guidance,
        generator=torch.Generator().manual_seed(seed),
        use_resolution_binning=False,
    ).images[0]
    return np.asarray(image.convert("RGB"))


def score(pictures: Sequence[Picture], specs: Sequence[Spec]) -> dict[str, float]:
    """Percentages by category; `core` is the share of pictures right in all of `CORE`."""
    results: dict[str, list[bool]] = defaultdict(list)
    for picture, spec in zip(pictures, specs, strict=True):
        found = check(picture, spec)
        for name, right in found.items():
            results[name].append(right)
        if "shape" in found and len(spec.items) == 1:
            results["single shape"].append(found["shape"])
        core = [right for name, right in found.items() if name in CORE]
        if core:
            results["core"].append(all(core))
        results["everything"].append(all(found.values()))
    return {name: round(100 * sum(r) / len(r), 1) for name, r in sorted(results.items())}


def ceiling_and_chance(specs: Sequence[Spec]) -> tuple[dict[str, float], dict[str, float]]:
    """What the check gives true renderings, and the same renderings shifted by one prompt."""
    true = [render(spec, seed) for seed, spec in enumerate(specs)]
    return score(true, specs), score(true[1:] + true[:1], specs)


def contact_sheet(pictures: Sequence[Picture], columns: int, zoom: int) -> Image.Image:
    """The pictures side by side, enlarged."""
    side = SIDE * zoom + 4
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * side, rows * side), "white")
    for i, picture in enumerate(pictures):
        tile = Image.fromarray(picture).resize((SIDE * zoom,) * 2, Image.Resampling.NEAREST)
        sheet.paste(tile, (i % columns * side + 2, i // columns * side + 2))
    return sheet


def evaluate(model: Path, steps: int, guidance: float) -> dict[str, object]:
    """Draws and scores everything; writes the sample sheet."""
    pipeline = load_pipeline(model)
    cases = held_out_cases(SEED)
    specs = [spec for _, spec in cases]
    began = time.perf_counter()
    pictures = draw_all(pipeline, [prompt for prompt, _ in cases], steps, guidance)
    seconds = (time.perf_counter() - began) / len(cases)
    hand = [resolve(wish) for _, wish in PHRASES]
    by_hand = draw_all(pipeline, [text for text, _ in PHRASES], steps, guidance)
    contact_sheet(by_hand, 9, 2).quantize(128).save(HERE / "samples.png", optimize=True)
    ceiling, chance = ceiling_and_chance(specs)
    return {
        "prompts": len(cases),
        "steps": steps,
        "guidance": guidance,
        "seconds_per_picture": round(seconds, 3),
        "bytes": sum(p.stat().st_size for p in model.rglob("*") if p.is_file()),
        "model": score(pictures, specs),
        "hand_written": score(by_hand, hand),
        "true_renderings": ceiling,
        "shifted_renderings": chance,
        "wrong": wrong_ones(pictures, cases) + wrong_ones(by_hand, list(zip_texts(hand))),
    }


def zip_texts(specs: Sequence[Spec]) -> Iterable[Case]:
    """The hand-written prompts with what they should show."""
    return zip((text for text, _ in PHRASES), specs, strict=True)


def wrong_ones(pictures: Sequence[Picture], cases: Sequence[Case]) -> list[str]:
    """The prompts that failed, and in what."""
    lines = []
    for picture, (prompt, spec) in zip(pictures, cases, strict=True):
        failed = [name for name, right in check(picture, spec).items() if not right]
        if failed:
            lines.append(f"{prompt} [{', '.join(failed)}]")
    return lines


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--guidance", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    result = evaluate(options.model, options.steps, options.guidance)
    (HERE / "score.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
