"""Jobs that run as one: each gets what it would have got alone, its own steps and its own end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
import pytest
from PIL import Image

from media_mcp.worker.pipelines.diffusers import run, run_batch
from media_mcp.worker.pipelines.diffusers.batch import together
from media_mcp.worker.pipelines.diffusers.calling import plan_call
from media_mcp.worker.pipelines.diffusers.run import held
from media_mcp.worker.work import Cancelled, Product, Work

CALL = {
    "guidance_scale": 0.0,
    "max_sequence_length": 48,
    "width": 64,
    "height": 64,
    "num_inference_steps": 3,
}
PROMPTS = ["a red cube", "two green boats at dawn", "o"]


@pytest.fixture
def works(work_of: Callable[..., Work], tiny_flux: Path, tmp_path: Path) -> Callable[..., Any]:
    def make(tolds: Any = (None, None, None), spec: Any = None, **more: Any) -> list[Work]:
        made = []
        for index, (prompt, told) in enumerate(zip(PROMPTS, tolds, strict=True)):
            work = work_of(
                spec or {"weights": str(tiny_flux)},
                told=told,
                seed=5 + 10 * index,
                prompt=prompt,
                **{**CALL, **more},
            )
            folder = tmp_path / str(index)
            folder.mkdir(exist_ok=True)
            made.append(replace(work, run=replace(work.run, folder=str(folder))))
        return made

    return make


def pixels(work: Work, product: Product | Exception) -> list[Any]:
    assert isinstance(product, Product)
    return [numpy.asarray(Image.open(work.folder / one.path)) for one in product.outputs]


def test_a_batch_equals_single_runs_but_for_the_rounding_of_float32(
    works: Callable[..., Any],
) -> None:
    """Products of larger matrices are summed in another order: 95 of 100 values and the mean stay
    within a millionth, and none is further off than a hundred-thousandth."""
    jobs = works()
    with held(jobs[0]) as ready:
        calls = [plan_call(job, ready.pipe) for job in jobs]
        as_one = together(jobs, ready.pipe, calls, output_type="np")
        single = [
            together([job], ready.pipe, [call], output_type="np")[0]
            for job, call in zip(jobs, calls, strict=True)
        ]
    for one, other in zip(as_one, single, strict=True):
        difference = numpy.abs(one[0].pictures[0] - other[0].pictures[0])
        assert difference.mean() <= 1e-6
        assert numpy.quantile(difference, 0.95) <= 1e-6
        assert difference.max() <= 1e-5


def test_each_job_of_a_batch_gets_its_pictures_and_its_steps(
    works: Callable[..., Any], told: Any
) -> None:
    tolds = [type(told)() for _ in PROMPTS]
    jobs = works(tolds, arguments={"num_images": 2})

    products = run_batch(jobs)

    assert [one.steps for one in tolds] == [[(1, 3), (2, 3), (3, 3)]] * 3
    for job, product in zip(jobs, products, strict=True):
        alone = pixels(job, product)
        again = pixels(job, run(job))
        assert len(alone) == 2
        for one, other in zip(alone, again, strict=True):
            assert numpy.abs(one.astype(int) - other).max() <= 1


def test_one_job_of_a_batch_can_be_cancelled_by_itself(
    works: Callable[..., Any], told: Any
) -> None:
    tolds = [type(told)() for _ in PROMPTS]
    tolds[1].stop_at = 2

    first, second, third = run_batch(works(tolds))

    assert isinstance(second, Cancelled)
    assert isinstance(first, Product) and isinstance(third, Product)
    assert tolds[1].steps == [(1, 3), (2, 3)]


def test_a_batch_ends_once_all_are_cancelled(works: Callable[..., Any], told: Any) -> None:
    tolds = [type(told)(stop_at=1) for _ in PROMPTS]
    with pytest.raises(Cancelled):
        run_batch(works(tolds))
    assert [one.steps for one in tolds] == [[(1, 3)]] * 3


def test_a_class_that_takes_no_lists_does_its_jobs_one_by_one(works: Callable[..., Any]) -> None:
    spec = {"weights": "embedded:sketch", "dtype": "float32"}
    jobs = works(spec=spec, guidance_scale=3.0, use_resolution_binning=False)
    products = run_batch(jobs)
    assert [len(pixels(*pair)) for pair in zip(jobs, products, strict=True)] == [1, 1, 1]
