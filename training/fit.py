"""Fits the picture model: Muon on the matrices of the blocks, AdamW on the rest."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import PRXTransformer2DModel
from torch import Tensor

from codes import GRID
from painter import NOISE, Pass

Log = Callable[[str], None]
Pool = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Stage:
    """One part of the run: how many patches of a picture it looks at, and its learning rates."""

    steps: int
    patches: int
    batch: int
    rate: float
    final_rate: float
    warmup: int = 0

    def rate_at(self, step: int) -> float:
        """Learning rate: a linear warm-up, then a line from `rate` to `final_rate`."""
        if step < self.warmup:
            return self.rate * (step + 1) / self.warmup
        part = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.rate + (self.final_rate - self.rate) * part


class Fitter:
    """The model, its pictures and its optimisers."""

    pool: Pool

    def __init__(self, model: PRXTransformer2DModel, log: Log) -> None:
        self.model, self.log = model, log
        inner = [p for n, p in model.named_parameters() if _is_matrix(n, p)]
        known = {id(p) for p in inner}
        outer = [p for p in model.parameters() if id(p) not in known]
        self.optimisers: list[torch.optim.Optimizer] = [
            torch.optim.Muon(inner, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(outer, betas=(0.9, 0.97), weight_decay=0.0, fused=True),
        ]
        self.net = torch.compile(Pass(model))
        self.step = 0

    def run(self, stage: Stage, first: int, save: Callable[[], None], save_every: int) -> None:
        """Runs one stage from its step `first` on, saving now and then."""
        began, loss_sum = time.monotonic(), 0.0
        for step in range(first, stage.steps):
            loss_sum += self._one(stage, stage.rate_at(step))
            if (step + 1) % 100 == 0:
                speed = (step + 1 - first) * stage.batch / (time.monotonic() - began)
                self.log(f"step {self.step} loss {loss_sum / 100:.5f} samples/s {speed:.0f}")
                loss_sum = 0.0
            if (step + 1) % save_every == 0:
                save()
        save()

    def _one(self, stage: Stage, rate: float) -> float:
        loss = self._loss(stage)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate
            optimiser.step()
            optimiser.zero_grad()
        self.step += 1
        return float(loss.detach())

    def _loss(self, stage: Stage) -> Tensor:
        patches, codes, busy = self.pool
        index = torch.randint(len(patches), (stage.batch,))
        places = _choose(busy[index], stage.patches)
        rows = patches[index].gather(1, places[..., None].expand(-1, -1, patches.shape[-1]))
        clean = rows.float() / 127.5 - 1
        when = sample_times(stage.batch)
        mixed = when[:, None, None]
        noisy = (1 - mixed) * clean + mixed * NOISE * torch.randn_like(clean)
        code, bias = _soften(codes[index].float())
        with torch.autocast("cpu", dtype=torch.bfloat16):
            guess = self.net(noisy, places, when, code, bias)
        return (guess.float() - clean).pow(2).mean()

    def store(self, path: Path) -> None:
        """Writes everything needed to go on."""
        state = {"model": self.model.state_dict(), "step": self.step}
        state["optimisers"] = [o.state_dict() for o in self.optimisers]
        torch.save(state, path)

    def restore(self, path: Path) -> None:
        """Reads what `store` wrote."""
        state = torch.load(path)
        self.model.load_state_dict(state["model"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.step = state["step"]


def _is_matrix(name: str, parameter: Tensor) -> bool:
    return parameter.ndim == 2 and "blocks." in name and "modulation" not in name


def sample_times(count: int) -> Tensor:
    """Noise levels: a third close to pure noise, where only the words can help."""
    middle = torch.sigmoid(torch.randn(count) * 1.2 + 0.6)
    high = 1 - 0.05 * torch.rand(count)
    return torch.where(torch.rand(count) < 0.33, high, middle)


def _choose(busy: Tensor, count: int) -> Tensor:
    """Which patches to look at: those with an outline in them come first, more or less."""
    if count == GRID * GRID:
        return torch.arange(count).expand(len(busy), -1)
    return (torch.rand(busy.shape) + 0.7 * busy).topk(count, dim=1).indices


def _soften(code: Tensor) -> tuple[Tensor, Tensor]:
    """Codes as a text encoder would write them: a little off, at times nothing at all."""
    count = len(code)
    code = code * (1 + 0.05 * torch.randn(count, 1, 1)) + 0.03 * torch.randn_like(code)
    code = code * (torch.rand(count, 1, 1) > 0.07)
    words = torch.randint(2, 28, (count, 1)).float()
    return code, torch.log(words)
