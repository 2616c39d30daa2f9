"""The training pictures, rendered once by worker processes into memory."""

import random
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from codes import GRID, PATCH, SLOTS, USED, encode
from draw import render
from sampling import sample_wish
from spec import Spec
from wishes import resolve

CHUNK = 500
PATCH_SIZE = 3 * PATCH * PATCH
Arrays: TypeAlias = tuple[npt.NDArray[np.uint8], npt.NDArray[np.float16], npt.NDArray[np.bool_]]


def training_spec(rng: random.Random) -> Spec:
    """A random picture description that is not held out for the check."""
    while True:
        spec = resolve(sample_wish(rng))
        if not spec.held_out():
            return spec


def patchify(pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Pictures (n, 64, 64, 3) as patches (n, 64, 192) in the order of the picture model."""
    cut = pictures.reshape(-1, GRID, PATCH, GRID, PATCH, 3).transpose(0, 1, 3, 5, 2, 4)
    return np.ascontiguousarray(cut).reshape(-1, GRID * GRID, PATCH_SIZE)


def _chunk(seed: int) -> Arrays:
    rng = random.Random(seed)
    specs = [training_spec(rng) for _ in range(CHUNK)]
    pictures = np.stack([render(s, rng.randrange(1 << 30)) for s in specs])
    patches = patchify(pictures)
    channels = patches.reshape(*patches.shape[:2], 3, -1)
    busy = (np.ptp(channels, axis=-1) > 12).any(-1)
    return patches, np.stack([encode(s) for s in specs]).astype(np.float16), busy


def _join(parts: Iterable[Arrays], count: int) -> tuple[Tensor, Tensor, Tensor]:
    patches = torch.empty(count, GRID * GRID, PATCH_SIZE, dtype=torch.uint8)
    codes = torch.empty(count, SLOTS, USED, dtype=torch.float16)
    busy = torch.empty(count, GRID * GRID, dtype=torch.bool)
    for i, part in enumerate(parts):
        span = slice(i * CHUNK, (i + 1) * CHUNK)
        for whole, array in zip((patches, codes, busy), part, strict=True):
            whole[span] = torch.from_numpy(array)
    return patches, codes, busy


def build_pool(count: int, seed: int, workers: int) -> tuple[Tensor, Tensor, Tensor]:
    """Patches, slot codes and a mark on patches that are not one flat colour."""
    seeds = [seed * 1_000_003 + i for i in range(count // CHUNK)]
    with ProcessPoolExecutor(workers) as executor:
        return _join(executor.map(_chunk, seeds), len(seeds) * CHUNK)
