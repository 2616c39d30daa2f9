"""The no-op as a task of Celery; the address of its Redis comes from the environment."""

from __future__ import annotations

import os

from celery import Celery

url = os.environ["BENCH_REDIS"]
app = Celery("benchmark", broker=url, backend=url)
app.conf.update(task_acks_late=True, result_expires=3600)


@app.task(name="no_op")  # type: ignore[untyped-decorator]
def no_op(prompt: str) -> dict[str, str]:
    return {"said": prompt}
