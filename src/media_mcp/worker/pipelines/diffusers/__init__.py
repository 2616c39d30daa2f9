"""Runs any pipeline of diffusers: the embedded sketch and FLUX go the same way.

`run` does one job: `loading` finds and loads the weights, `calling` says the job in the words of
the pipeline's class, `outputs` reads what it returns.
"""

from media_mcp.worker.pipelines.diffusers.batch import run_batch
from media_mcp.worker.pipelines.diffusers.run import run

__all__ = ["run", "run_batch"]
