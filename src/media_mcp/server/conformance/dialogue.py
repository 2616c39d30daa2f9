"""Questions to the client before an answer, in both eras of the protocol.

A `Dialogue` is a row: what is asked in each round. On 2026-07-28 each round is one
`InputRequiredResult` and the client calls again with its answers; earlier there is a request from
the server to the client while the call waits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import mcp_types as t
from mcp.shared.message import ServerMessageMetadata

from media_mcp.server.ask import modern
from media_mcp.server.toolset import Context

Answers: TypeAlias = dict[str, dict[str, Any]]
RESULT_OF: dict[str, type[t.CreateMessageResult | t.ListRootsResult | t.ElicitResult]] = {
    "elicitation/create": t.ElicitResult,
    "sampling/createMessage": t.CreateMessageResult,
    "roots/list": t.ListRootsResult,
}


def form(
    message: str, properties: Mapping[str, Any], *, all_required: bool = True
) -> t.InputRequest:
    """Return an elicitation that shows a form."""
    schema: dict[str, Any] = {"type": "object", "properties": dict(properties)}
    if all_required:
        schema["required"] = list(properties)
    return t.ElicitRequest(
        params=t.ElicitRequestFormParams(message=message, requested_schema=schema)
    )


def sample(prompt: str, max_tokens: int) -> t.InputRequest:
    """Return a request for one message of the client's model."""
    message = t.SamplingMessage(role="user", content=t.TextContent(text=prompt))
    return t.CreateMessageRequest(
        params=t.CreateMessageRequestParams(messages=[message], max_tokens=max_tokens)
    )


def roots() -> t.InputRequest:
    return t.ListRootsRequest(params=t.RequestParams())


@dataclass(frozen=True)
class Dialogue:
    """`rounds` of questions by key. `stateful` ones hand the client a state to bring back."""

    rounds: tuple[Mapping[str, t.InputRequest], ...]
    stateful: bool = False

    def advance(self, params: t.InputResponseRequestParams) -> Answers | t.InputRequiredResult:
        """Return all answers, or the questions of the round whose answers are still missing."""
        said = self._recall(params.request_state)
        expected = params.request_state is not None or not self.stateful
        for asked in self.rounds:
            if not asked.keys() <= said.keys():
                given = _fitting(asked, params.input_responses or {}) if expected else {}
                if not asked.keys() <= given.keys():
                    return self._question(asked, said)
                said |= given
                expected = False
        return said

    def _question(
        self, asked: Mapping[str, t.InputRequest], said: Answers
    ) -> t.InputRequiredResult:
        state = json.dumps(said) if self.stateful else None
        return t.InputRequiredResult(input_requests=dict(asked), request_state=state)

    def _recall(self, state: str | None) -> Answers:
        if state is None or not self.stateful:
            return {}
        said: Answers = json.loads(
            state
        )  # the server opens its seal; a foreign one never gets here
        return said


async def ask(
    ctx: Context, params: t.InputResponseRequestParams, request: t.InputRequest
) -> dict[str, Any] | t.InputRequiredResult:
    """Return the client's answer to one question, in the way of the request's era."""
    if modern(ctx):
        outcome = Dialogue(({"answer": request},)).advance(params)
        return outcome if isinstance(outcome, t.InputRequiredResult) else outcome["answer"]
    related = ServerMessageMetadata(related_request_id=ctx.request_id)
    answer = await ctx.session.send_request(request, RESULT_OF[request.method], metadata=related)
    return _plain(answer)


def declared(ctx: Context, capability: str) -> bool:
    """Tell whether the client declared `sampling`, `elicitation` or `roots`."""
    capabilities = ctx.session.client_capabilities
    return capabilities is not None and getattr(capabilities, capability) is not None


def said_text(answer: Mapping[str, Any]) -> str:
    """Return the text of a sampled message, or an empty string if it holds something else."""
    return str(answer["content"].get("text", ""))


def filled(answer: Mapping[str, Any], field: str) -> str:
    """Return a field of a form, or an empty string if the user did not fill it."""
    return str((answer.get("content") or {}).get(field, ""))


def _fitting(asked: Mapping[str, t.InputRequest], given: Mapping[str, t.InputResponse]) -> Answers:
    """Return the answers that were asked for and are of the kind that was asked for."""
    return {
        key: _plain(given[key])
        for key, request in asked.items()
        if isinstance(given.get(key), RESULT_OF[request.method])
    }


def _plain(answer: t.InputResponse) -> dict[str, Any]:
    return answer.model_dump(mode="json", by_alias=True, exclude_none=True)
