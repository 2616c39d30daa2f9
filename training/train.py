"""Trains the sketch model from nothing: text encoder, then picture model, then the check.

`python training/train.py` repeats the whole run; `--only` repeats one part of it.
"""

import os

# Large blocks stay with the process: giving them back and taking them again costs half the run.
os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(1 << 34))
os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(1 << 33))
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from transformers import ModernBertModel, PreTrainedTokenizerFast

from evaluate import MODEL
from export import save_pipeline
from fit import Fitter, Stage
from painter import build_painter
from pool import build_pool
from text import build_encoder, build_tokenizer, fit_encoder, vocabulary

HERE = Path(__file__).parent
HIDDEN, DEPTH, MLP_RATIO = 192, 6, 2.0
BATCH = 128
PARTS = ("text", "paint", "export", "check")


@dataclass(frozen=True)
class Leg:
    """A stage of the picture model with the pictures that it sees."""

    seed: int
    pictures: int
    stage: Stage


LEGS = (
    Leg(1, 120_000, Stage(1000, 32, BATCH, 2e-3, 2e-3, warmup=100)),
    Leg(2, 100_000, Stage(1400, 32, BATCH, 2e-3, 2e-3)),
    Leg(2, 100_000, Stage(600, 64, BATCH, 2e-3, 2e-5)),
    Leg(2, 100_000, Stage(200, 64, BATCH, 6e-4, 1e-5)),
)
TEXT_STEPS, TEXT_RATE, TEXT_SEED, WORD_SEED = 4800, 2e-3, 12, 7


class Journal:
    """Prints lines with the time since the start and keeps them in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.began = time.monotonic()

    def __call__(self, text: str) -> None:
        line = f"[{time.monotonic() - self.began:7.1f}] {text}"
        print(line, flush=True)
        with self.path.open("a") as file:
            file.write(line + "\n")


def train_text(work: Path, log: Journal) -> None:
    """The text encoder, on captions alone."""
    torch.manual_seed(TEXT_SEED)
    words = vocabulary(WORD_SEED)
    log(f"text encoder: {len(words)} words")
    encoder = build_encoder(len(words))
    tokenizer = build_tokenizer(words)
    fit_encoder(encoder, tokenizer, log, TEXT_STEPS, BATCH, TEXT_RATE, TEXT_SEED)
    torch.save({"words": words, "encoder": encoder.state_dict()}, work / "text.pt")


def train_paint(work: Path, log: Journal, workers: int) -> None:
    """The picture model, leg by leg, on the codes that a perfect text encoder would write.

    Goes on from what an earlier call left in `work`.
    """
    torch.manual_seed(LEGS[0].seed)
    fitter = Fitter(build_painter(HIDDEN, DEPTH, MLP_RATIO), log)
    state = work / "paint.pt"
    if state.exists():
        fitter.restore(state)
    end = 0
    for number, leg in enumerate(LEGS):
        first = fitter.step - end
        end += leg.stage.steps
        if fitter.step >= end:
            continue
        fitter.pool = build_pool(leg.pictures, leg.seed, workers)
        log(f"leg {number}: rendered {len(fitter.pool[0])} pictures")
        torch.manual_seed(100 * number + fitter.step)
        fitter.run(leg.stage, first, partial(fitter.store, state), 200)


def load_text(work: Path) -> tuple[ModernBertModel, PreTrainedTokenizerFast]:
    """The trained encoder and its tokenizer."""
    saved = torch.load(work / "text.pt")
    encoder = build_encoder(len(saved["words"]))
    encoder.load_state_dict(saved["encoder"])
    return encoder, build_tokenizer(saved["words"])


def export(work: Path, folder: Path, log: Journal) -> None:
    """The pipeline folder."""
    painter = build_painter(HIDDEN, DEPTH, MLP_RATIO)
    painter.load_state_dict(torch.load(work / "paint.pt")["model"])
    size = save_pipeline(painter, *load_text(work), folder)
    log(f"saved {size} bytes")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=HERE / "work", help="for what is in between")
    parser.add_argument("--out", type=Path, default=MODEL, help="the pipeline folder to write")
    parser.add_argument("--only", choices=PARTS, action="append", help="just this part")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    parts = options.only or PARTS
    options.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads)
    log = Journal(options.work / "train.log")
    if "text" in parts:
        train_text(options.work, log)
    if "paint" in parts:
        train_paint(options.work, log, options.threads)
    if "export" in parts:
        export(options.work, options.out, log)
    if "check" in parts:
        check = [sys.executable, str(HERE / "evaluate.py"), "--model", str(options.out)]
        subprocess.run(check, check=True)


if __name__ == "__main__":
    main()
