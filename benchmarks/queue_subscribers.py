"""Many subscribers of fal's own client in one process: `queue_subscribers.py PORT ENDPOINT COUNT`.

Prints how many failed, why, and the seconds. The client's addresses are pointed at this machine by
the module's own constants.
"""

from __future__ import annotations

import asyncio
import json
import sys
from time import perf_counter
from typing import Any

import fal_client


async def main(port: str, endpoint: str, count: int) -> dict[str, Any]:
    fal_client.client.QUEUE_URL_FORMAT = f"http://127.0.0.1:{port}/queue/"
    client = fal_client.AsyncClient(key="id:secret")
    calls = [client.subscribe(endpoint, {"prompt": str(n)}, with_logs=True) for n in range(count)]
    began = perf_counter()
    ended = await asyncio.gather(*calls, return_exceptions=True)
    seconds = perf_counter() - began
    errors = [repr(end) for end in ended if not isinstance(end, dict)]
    return {"failed": len(errors), "errors": sorted(set(errors)), "seconds": seconds}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))))
