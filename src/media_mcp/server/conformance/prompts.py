"""The fixture prompts and completion of their arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import mcp_types as t
from mcp.shared.exceptions import MCPError

from media_mcp.server.conformance.dialogue import Dialogue, filled, form
from media_mcp.server.conformance.samples import PNG
from media_mcp.server.toolset import Context, Prompted

Arguments = Mapping[str, str]
COMPLETED = {
    "arg1": ("paris", "park", "party"),
    "arg2": ("rome", "rose", "rope"),
}
CONTEXT = Dialogue(
    (
        {
            "user_context": form(
                "What context should the prompt use?", {"context": {"type": "string"}}
            )
        },
    )
)


@dataclass(frozen=True)
class _Row:
    description: str
    says: Callable[[Arguments], Sequence[t.ContentBlock]]
    arguments: tuple[str, ...] = ()


def _text(words: str) -> t.TextContent:
    return t.TextContent(text=words)


def _embedded(arguments: Arguments) -> Sequence[t.ContentBlock]:
    contents = t.TextResourceContents(
        uri=arguments["resourceUri"],
        mime_type="text/plain",
        text="Embedded resource content for testing.",
    )
    return [
        t.EmbeddedResource(resource=contents),
        _text("Please process the embedded resource above."),
    ]


def _image(arguments: Arguments) -> Sequence[t.ContentBlock]:
    return [
        t.ImageContent(data=PNG, mime_type="image/png"),
        _text("Please analyze the image above."),
    ]


ROWS = {
    "test_simple_prompt": _Row(
        "Has no arguments", lambda given: [_text("This is a simple prompt for testing.")]
    ),
    "test_prompt_with_arguments": _Row(
        "Repeats two arguments",
        lambda given: [
            _text(f"Prompt with arguments: arg1='{given['arg1']}', arg2='{given['arg2']}'")
        ],
        ("arg1", "arg2"),
    ),
    "test_prompt_with_embedded_resource": _Row("Embeds a resource", _embedded, ("resourceUri",)),
    "test_prompt_with_image": _Row("Shows an image", _image),
}
ASKING = "test_input_required_result_prompt"


class FixturePrompts:
    def prompts(self) -> Sequence[t.Prompt]:
        asking = t.Prompt(name=ASKING, description="Asks the client for context first")
        return [*(_definition(name, row) for name, row in ROWS.items()), asking]

    async def get(self, ctx: Context, params: t.GetPromptRequestParams) -> Prompted | None:
        if params.name == ASKING:
            return _ask(params)
        row = ROWS.get(params.name)
        return _result(row.says(_checked(row, params.arguments or {}))) if row else None

    async def complete(self, ctx: Context, params: t.CompleteRequestParams) -> t.Completion | None:
        if not isinstance(params.ref, t.PromptReference) or params.ref.name not in ROWS:
            return None
        known = COMPLETED.get(params.argument.name, ())
        values = [word for word in known if word.startswith(params.argument.value)]
        return t.Completion(values=values, total=len(values), has_more=False)


def _definition(name: str, row: _Row) -> t.Prompt:
    arguments = [t.PromptArgument(name=one, required=True) for one in row.arguments]
    return t.Prompt(name=name, description=row.description, arguments=arguments)


def _checked(row: _Row, given: Arguments) -> Arguments:
    missing = [name for name in row.arguments if name not in given]
    if missing:
        raise MCPError(t.INVALID_PARAMS, f"Missing arguments: {', '.join(missing)}.")
    return given


def _ask(params: t.GetPromptRequestParams) -> Prompted:
    outcome = CONTEXT.advance(params)
    if isinstance(outcome, t.InputRequiredResult):
        return outcome
    return _result([_text(f"Use this context: {filled(outcome['user_context'], 'context')}")])


def _result(content: Sequence[t.ContentBlock]) -> t.GetPromptResult:
    messages = [t.PromptMessage(role="user", content=block) for block in content]
    return t.GetPromptResult(messages=messages)
