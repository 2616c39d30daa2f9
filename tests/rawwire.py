"""A client that speaks the protocol's JSON, for what the SDK's client hides."""

from collections import deque
from itertools import count
from typing import Any

import anyio
import mcp_types as t
from mcp.shared.message import SessionMessage
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from media_mcp.server.tasks import TASKS_ID

MODERN = MODERN_PROTOCOL_VERSIONS[0]
TASKS = {"extensions": {TASKS_ID: {}}}


def envelope(capabilities: dict[str, Any]) -> dict[str, Any]:
    return {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": capabilities,
    }


class Wire:
    """A client that speaks JSON and nothing more."""

    def __init__(self, read: Any, write: Any) -> None:
        self._read, self._write = read, write
        self._ids = count(1)
        self._told: deque[dict[str, Any]] = deque()

    async def send(self, method: str, params: dict[str, Any]) -> int:
        request_id = next(self._ids)
        request = t.JSONRPCRequest(jsonrpc="2.0", id=request_id, method=method, params=params)
        await self._write.send(SessionMessage(request))
        return request_id

    async def receive(self) -> dict[str, Any]:
        with anyio.fail_after(5):
            message = await self._read.receive()
        return message.message.model_dump(by_alias=True, exclude_none=True)

    async def ask(
        self, method: str, params: dict[str, Any], capabilities: dict[str, Any] = TASKS
    ) -> dict[str, Any]:
        """Return the whole answer, `result` or `error`; what else comes is kept for `told`."""
        request_id = await self.send(method, {**params, "_meta": envelope(capabilities)})
        while (message := await self.receive()).get("id") != request_id:
            self._told.append(message)
        return message

    async def result(self, method: str, **params: Any) -> dict[str, Any]:
        return (await self.ask(method, params))["result"]

    async def start(self, tool: str, **arguments: Any) -> str:
        answer = await self.result("tools/call", name=tool, arguments=arguments)
        assert answer["resultType"] == "task"
        return answer["taskId"]

    async def listen(self, *task_ids: str) -> list[str]:
        """Open a stream of task notifications; returns the tasks that it will tell of."""
        params = {"notifications": {"taskIds": list(task_ids)}, "_meta": envelope(TASKS)}
        self.stream = await self.send("subscriptions/listen", params)
        acknowledged = await self.receive()
        assert acknowledged["method"] == "notifications/subscriptions/acknowledged"
        return acknowledged["params"]["notifications"]["taskIds"]

    async def told(self) -> dict[str, Any]:
        message = self._told.popleft() if self._told else await self.receive()
        assert message["method"] == "notifications/tasks"
        return message["params"]

    async def until(self, status: str) -> dict[str, Any]:
        """Return the first notification with this status."""
        while (seen := await self.told())["status"] != status:
            pass
        return seen
