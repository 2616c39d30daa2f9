"""An event store, so that a client whose stream was closed can fetch the rest."""

from __future__ import annotations

from collections import deque
from itertools import count

from mcp.server.streamable_http import EventCallback, EventMessage, EventStore
from mcp_types import JSONRPCMessage

KEPT = 1000


class RecentEvents(EventStore):
    """The last `KEPT` events of all streams, in order."""

    def __init__(self) -> None:
        self._events: deque[tuple[str, str, JSONRPCMessage | None]] = deque(maxlen=KEPT)
        self._ids = count(1)

    async def store_event(self, stream_id: str, message: JSONRPCMessage | None) -> str:
        event_id = str(next(self._ids))
        self._events.append((event_id, stream_id, message))
        return event_id

    async def replay_events_after(
        self, last_event_id: str, send_callback: EventCallback
    ) -> str | None:
        events = list(self._events)
        seen = next((i for i, event in enumerate(events) if event[0] == last_event_id), None)
        if seen is None:
            return None
        stream_id = events[seen][1]
        for event_id, stream, message in events[seen + 1 :]:
            if stream == stream_id and message is not None:
                await send_callback(EventMessage(message, event_id))
        return stream_id
