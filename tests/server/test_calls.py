"""Tool calls, as clients of both eras make them."""

import base64
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from media_mcp.job import Caller, JobState
from media_mcp.server import answer
from support import Opened

pytestmark = pytest.mark.anyio
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


async def call(client: Client, tool: str, **arguments: Any) -> Any:
    result = await client.call_tool(tool, arguments)
    return result.structured_content


async def test_a_typed_tool_makes_a_picture(opened: Opened, era: str) -> None:
    async with opened() as (_, server), Client(server.sdk, mode=era) as client:
        result = await client.call_tool("rehearsal_image", {"prompt": "a boat", "width": 64})
        facts = result.structured_content
        assert facts["state"] == "succeeded"
        assert facts["assets"][0]["width"] == 64
        assert [block.type for block in result.content] == ["text", "resource_link", "image"]
        assert answer.tokens(facts) <= answer.MAX_TOKENS


async def test_the_file_is_where_the_answer_says(opened: Opened) -> None:
    async with opened() as (_, server), Client(server.sdk) as client:
        facts = await call(client, "rehearsal_image", prompt="a boat")
        path = anyio.Path(facts["assets"][0]["path"])
        assert (await path.read_bytes()).startswith(b"\x89PNG")


@pytest.mark.parametrize("kind", ["video", "speech", "music"])
async def test_every_kind_of_media_fits_the_answer_with_a_small_preview(
    opened: Opened, kind: str
) -> None:
    async with opened() as (_, server), Client(server.sdk) as client:
        result = await client.call_tool(f"rehearsal_{kind}", {"prompt": "waves on a beach"})
        assert result.structured_content["assets"][0]["duration"] > 0
        preview = next(block for block in result.content if block.type == "image")
        assert len(preview.data) * 3 / 4 <= 40_000


async def test_a_transcript_shows_its_text(opened: Opened) -> None:
    async with opened() as (_, server), Client(server.sdk) as client:
        voice = await call(client, "rehearsal_speech", prompt="hello there")
        heard = await call(client, "rehearsal_transcript", audio_url=voice["assets"][0]["uri"])
        assert heard["state"] == "succeeded"
        assert heard["text"]


async def test_one_models_output_is_the_next_ones_input(opened: Opened) -> None:
    async with opened() as (app, server), Client(server.sdk) as client:
        first = await call(client, "rehearsal_image", prompt="a boat")
        uri = first["assets"][0]["uri"]
        second = await call(client, "rehearsal_edit", prompt="at night", image_url=uri)
        job = await app.queue.get(second["job_id"], Caller())
        assert job.parents == (uri,)


async def test_an_asset_that_no_job_of_the_caller_knows_is_not_there(opened: Opened) -> None:
    async with opened() as (app, server), Client(server.sdk) as client:
        foreign = await app.media.put_bytes(PNG, role="image", name="secret", provenance={})
        arguments = {"prompt": "x", "image_url": foreign.uri}
        result = await client.call_tool("rehearsal_edit", arguments)
        assert result.is_error
        assert "image_url: There is no asset" in result.structured_content["error"]["message"]


async def test_progress_reaches_the_client_and_only_grows(opened: Opened, era: str) -> None:
    seen: list[tuple[float, float | None, str | None]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        seen.append((progress, total, message))

    async with opened() as (_, server), Client(server.sdk, mode=era) as client:
        await client.call_tool("test_steps", {"prompt": "x"}, progress_callback=note)
        values = [progress for progress, _, _ in seen]
        assert values == sorted(values)
        assert len(set(values)) == len(values)
        assert any(str(message).startswith("step ") for _, _, message in seen)


async def test_a_long_call_answers_with_the_job_and_the_job_goes_on(
    opened: Opened, era: str
) -> None:
    async with opened(wait=0) as (_, server), Client(server.sdk, mode=era) as client:
        facts = await call(client, "test_steps", prompt="x")
        assert facts["state"] in ("queued", "running")
        assert facts["next"].startswith(f"get_job(job_id='{facts['job_id']}')")
        done = await call(client, "get_job", job_id=facts["job_id"])
        assert done["state"] == "succeeded"


async def test_the_same_call_joins_the_job_that_is_still_running(opened: Opened) -> None:
    async with opened(wait=0) as (_, server), Client(server.sdk) as client:
        first = await call(client, "test_slow", prompt="x")
        second = await call(client, "test_slow", prompt="x")
        other = await call(client, "test_slow", prompt="x", fresh=True)
        assert second["job_id"] == first["job_id"]
        assert second["joined"]
        assert other["job_id"] != first["job_id"]


async def test_an_answered_call_made_again_is_a_new_job(opened: Opened) -> None:
    async with opened() as (_, server), Client(server.sdk) as client:
        first = await call(client, "rehearsal_image", prompt="x")
        second = await call(client, "rehearsal_image", prompt="x")
        assert first["job_id"] != second["job_id"]


async def test_a_client_that_gives_up_stops_the_job(opened: Opened, era: str) -> None:
    async with opened() as (app, server), Client(server.sdk, mode=era) as client:
        told = anyio.Event()

        async def note(*_: object) -> None:
            told.set()

        async with anyio.create_task_group() as group:

            async def run() -> None:
                await client.call_tool("test_slow", {"prompt": "x"}, progress_callback=note)

            group.start_soon(run)
            await told.wait()
            group.cancel_scope.cancel()
        (job,) = await app.queue.jobs(Caller())
        ended = await app.queue.wait(job.id, Caller(), 20)
        assert ended.state is JobState.CANCELLED


async def test_a_job_that_somebody_else_waits_for_goes_on(opened: Opened) -> None:
    async with opened() as (_, server), Client(server.sdk) as one, Client(server.sdk) as two:
        waiting = anyio.Event()
        results: list[Any] = []

        async def stay() -> None:
            results.append(await call(two, "test_steps", prompt="x"))

        async def leave() -> None:
            with anyio.move_on_after(0.05):
                waiting.set()
                await one.call_tool("test_steps", {"prompt": "x"})

        async with anyio.create_task_group() as group:
            group.start_soon(leave)
            await waiting.wait()
            group.start_soon(stay)
        assert results[0]["state"] == "succeeded"


async def test_a_job_can_be_cancelled_by_id(opened: Opened, era: str) -> None:
    async with opened(wait=0) as (_, server), Client(server.sdk, mode=era) as client:
        facts = await call(client, "test_slow", prompt="x")
        stopped = await call(client, "cancel_job", job_id=facts["job_id"])
        assert stopped["state"] == "cancelled"
        assert stopped["next"] == "Call the tool again to start over."


async def test_a_failed_job_is_an_error_that_says_what_to_do(opened: Opened, era: str) -> None:
    async with opened() as (_, server), Client(server.sdk, mode=era) as client:
        result = await client.call_tool("test_fails", {"prompt": "x"})
        assert result.is_error
        assert result.structured_content["state"] == "failed"
        assert result.structured_content["error"]["code"] == "content_refused"
        assert result.structured_content["next"]


async def test_a_bug_in_a_backend_is_told_without_a_traceback(opened: Opened) -> None:
    async with opened() as (_, server), Client(server.sdk) as client:
        result = await client.call_tool("test_crashes", {"prompt": "x"})
        assert result.is_error
        assert "Traceback" not in result.content[0].text


async def test_a_job_whose_worker_died_is_tried_again(opened: Opened) -> None:
    async with opened() as (app, server), Client(server.sdk) as client:
        facts = await call(client, "test_flaky", prompt="x")
        assert facts["state"] == "succeeded"
        assert (await app.queue.get(facts["job_id"], Caller())).attempt == 2


async def test_an_unknown_tool_is_a_protocol_error_that_names_the_nearest(
    opened: Opened, era: str
) -> None:
    async with opened() as (_, server), Client(server.sdk, mode=era) as client:
        with pytest.raises(MCPError, match=r"Unknown tool: 'skech'. Did you mean sketch\?"):
            await client.call_tool("skech", {})


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("rehearsal_image", {}, "prompt: is required."),
        ("rehearsal_image", {"prompt": "x", "widht": 1}, "Did you mean width"),
        ("rehearsal_image", {"prompt": "x", "width": 9999}, "width: must be at most 4096"),
        ("rehearsal_edit", {"prompt": "x", "image_url": "/etc/passwd"}, "image_url: "),
        ("rehearsal_edit", {"prompt": "x", "image_url": "media://nope"}, "image_url: "),
        ("get_job", {"job_id": "nope"}, "nope"),
        ("get_job", {}, "job_id: is required."),
        ("cancel_job", {"job_id": "0" * 18}, "job"),
        ("describe_model", {"model": "skech"}, "There is no model called 'skech'."),
        ("find_models", {"task": "text-to-imag"}, "No model does the task 'text-to-imag'."),
        ("run_model", {"model": "rehearsal/image"}, "prompt: is required."),
        ("quote", {"model": "rehearsal/image"}, "prompt: is required."),
        ("list_jobs", {"limit": 999}, "limit: must be at most 20"),
        ("list_jobs", {"state": "done"}, "state: must be one of"),
        ("test_elsewhere", {"prompt": "x"}, "nowhere"),
        ("run_model", {"model": "sketch", "arguments": {"prompt": "x"}, "backend": "fal"}, "fal"),
    ],
)
async def test_a_wrong_call_is_told_what_is_wrong_and_what_next(
    opened: Opened, tool: str, arguments: dict[str, Any], words: str
) -> None:
    async with opened() as (app, server), Client(server.sdk) as client:
        result = await client.call_tool(tool, arguments)
        facts = result.structured_content
        assert result.is_error
        assert facts["state"] == "rejected"
        assert words in facts["error"]["message"]
        assert facts["next"]
        assert await app.queue.jobs(Caller()) == []


async def test_run_model_with_wrong_arguments_brings_the_schema(opened: Opened) -> None:
    async with opened() as (_, server), Client(server.sdk) as client:
        facts = await call(client, "run_model", model="sketch", arguments={"promt": "x"})
        assert "prompt" in facts["arguments_schema"]["properties"]


async def test_run_model_reaches_models_that_are_not_listed(opened: Opened) -> None:
    async with opened(tools="featured") as (_, server), Client(server.sdk) as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
        assert "rehearsal_image" not in names
        facts = await call(
            client, "run_model", model="rehearsal/image", arguments={"prompt": "x"}, fresh=True
        )
        assert facts["state"] == "succeeded"


async def test_rehearsing_runs_every_model_on_the_rehearsal_backend(opened: Opened) -> None:
    async with opened(rehearse=True) as (_, server), Client(server.sdk) as client:
        facts = await call(client, "sketch", prompt="a red boat", size=128)
        assert facts["route"] == "rehearsal"
        assert facts["assets"][0]["width"] == 128


async def test_find_models_gives_compact_rows(opened: Opened, era: str) -> None:
    async with opened() as (_, server), Client(server.sdk, mode=era) as client:
        facts = await call(client, "find_models", query="draw a landscape")
        assert facts["models"][0]["id"] == "sketch"
        for row in facts["models"]:
            assert answer.tokens(row) <= 60
        nothing = await call(client, "find_models", query="qqqqqq")
        assert nothing["models"] == []
        assert "text-to-image" in nothing["next"]


async def test_describe_model_shows_how_to_call_it(opened: Opened) -> None:
    async with opened() as (_, server), Client(server.sdk) as client:
        facts = await call(client, "describe_model", model="sketch")
        assert facts["arguments"]["required"] == ["prompt"]
        assert facts["routes"][0]["backend"] == "local"
        assert "prompt" in facts["example"]
        plain = await call(client, "describe_model", model="test/elsewhere")
        assert not plain["routes"][0]["ready"]
        assert plain["routes"][0]["reason"]


async def test_a_quote_runs_and_spends_nothing(opened: Opened) -> None:
    async with opened() as (app, server), Client(server.sdk) as client:
        facts = await call(
            client, "quote", model="rehearsal/image", arguments={"prompt": "x", "width": 64}
        )
        assert facts["routes"][0]["high_usd"] == 0
        assert await app.queue.jobs(Caller()) == []


async def test_jobs_and_assets_are_listed_page_by_page(opened: Opened) -> None:
    async with opened() as (_, server), Client(server.sdk) as client:
        for word in ("one", "two", "three"):
            await call(client, "rehearsal_image", prompt=word, width=32, height=32)
        first = await call(client, "list_jobs", limit=2)
        assert [row["prompt"] for row in first["jobs"]] == ["three", "two"]
        last = first["jobs"][-1]["job_id"]
        assert f"before='{last}'" in first["next"]
        rest = await call(client, "list_jobs", limit=2, before=last)
        assert [row["prompt"] for row in rest["jobs"]] == ["one"]
        assets = await call(client, "list_assets", limit=2)
        assert len(assets["assets"]) == 2
        older = await call(client, "list_assets", before=assets["assets"][-1]["uri"])
        assert len(older["assets"]) == 1
        failed = await call(client, "list_jobs", state="failed")
        assert failed["jobs"] == []


async def test_a_failed_job_is_listed_with_its_error(opened: Opened) -> None:
    async with opened() as (_, server), Client(server.sdk) as client:
        await call(client, "test_fails", prompt="x")
        rows = (await call(client, "list_jobs"))["jobs"]
        assert rows[0]["error"]


async def test_spend_tells_what_ran(opened: Opened) -> None:
    async with opened() as (_, server), Client(server.sdk) as client:
        await call(client, "rehearsal_image", prompt="x")
        assert "rehearsal/image" in str(await call(client, "spend"))


async def test_many_images_fit_by_leaving_some_for_the_next_call(opened: Opened) -> None:
    async with opened() as (_, server), Client(server.sdk) as client:
        facts = await call(client, "rehearsal_image", prompt="x", num_images=8, width=64)
        shown = len(facts["assets"])
        assert shown + facts["assets_left_out"] == 8
        rest = await call(client, "get_job", job_id=facts["job_id"], first_asset=shown)
        assert rest["assets"][0]["uri"] != facts["assets"][0]["uri"]


async def test_jobs_outlive_the_server(opened: Opened) -> None:
    async with opened() as (_, server), Client(server.sdk) as client:
        made = await call(client, "rehearsal_image", prompt="x")
    async with opened() as (_, server), Client(server.sdk) as client:
        again = await call(client, "get_job", job_id=made["job_id"])
        assert again["assets"] == made["assets"]


@pytest.mark.parametrize("kind", ["image", "video", "music"])
async def test_a_result_whose_file_was_moved_away_is_still_told(opened: Opened, kind: str) -> None:
    async with opened() as (app, server), Client(server.sdk) as client:
        made = await call(client, f"rehearsal_{kind}", prompt="x")
        await anyio.Path(made["assets"][0]["path"]).unlink()
        for kept in (app.media.folder / "previews").iterdir():
            kept.unlink()
        again = await client.call_tool("get_job", {"job_id": made["job_id"]})
        assert not again.is_error
        assert again.structured_content["assets"] == made["assets"]


async def test_a_job_that_was_running_when_the_server_stopped_runs_at_the_next_start(
    opened: Opened,
) -> None:
    async with opened(wait=0) as (_, server), Client(server.sdk) as client:
        facts = await call(client, "test_steps", prompt="x")
    async with opened() as (_, server), Client(server.sdk) as client:
        done = await call(client, "get_job", job_id=facts["job_id"])
        assert done["state"] == "succeeded"
