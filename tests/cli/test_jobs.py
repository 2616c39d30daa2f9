"""`jobs` and `cancel`."""

from __future__ import annotations

import signal

import pytest

SMALL = ("rehearsal/image", "prompt=a red boat", "width=64", "height=64")


def test_jobs_are_listed_newest_first(cli):
    ids = [cli("run", *SMALL, f"seed={seed}").json["job_id"] for seed in (1, 2)]
    out = cli("jobs").out
    assert [line.split()[0] for line in out.splitlines()] == ["JOB", ids[1], ids[0]]
    assert "a red boat" in out
    assert [job["job_id"] for job in cli("jobs", "--limit", "1", "--json").json] == [ids[1]]


def test_a_state_narrows_the_list(cli, monkeypatch):
    cli("run", *SMALL)
    monkeypatch.setenv("MEDIA_MCP_REHEARSE_FAILURE", "refused")
    failed = cli("run", *SMALL).json["job_id"]
    assert [job["job_id"] for job in cli("jobs", "--state", "failed", "--json").json] == [failed]
    assert "The backend refused" in cli("jobs", "--state", "failed").out


def test_a_state_that_is_none_gets_the_nearest(cli):
    ended = cli("jobs", "--state", "faild")
    assert ended.code == 2
    assert "'faild' is not a state. Did you mean failed?" in ended.err
    assert "States: queued, running" in cli("jobs", "--state", "zzz").err


def test_one_job_is_shown_with_arguments_outputs_and_events(cli):
    job = cli("run", *SMALL, "seed=3").json
    out = cli("jobs", job["job_id"]).out
    assert "prompt = a red boat" in out and job["assets"][0]["path"] in out
    assert "state" in out and "succeeded" in out
    full = cli("jobs", job["job_id"], "--json").json
    assert full["arguments"]["seed"] == 3 and full["door"] == "cli"
    assert full["events"][0]["kind"] == "state"


def test_a_failed_job_is_shown_with_its_error_and_steps(cli, monkeypatch):
    monkeypatch.setenv("MEDIA_MCP_REHEARSE_FAILURE", "refused")
    monkeypatch.setenv("MEDIA_MCP_REHEARSE_SECONDS", "0.2")
    job = cli("run", *SMALL).json
    out = cli("jobs", job["job_id"]).out
    assert "error    The backend refused" in out and "hint " in out
    assert "step 5 of 10" in out


@pytest.mark.parametrize("command", ["jobs", "cancel"])
def test_a_job_that_is_not_there_ends_with_2(cli, command):
    ended = cli(command, "nothing")
    assert ended.code == 2
    assert "error: There is no job 'nothing'." in ended.err


def test_a_job_that_runs_elsewhere_is_cancelled(cli, child, slow):
    running = child("run", *slow, "--verbose")
    running.line_of_stderr("running")
    job_id = cli("jobs", "--json").json[0]["job_id"]
    ended = cli("cancel", job_id)
    assert (ended.code, ended.out) == (0, f"{job_id}  cancelled\n")
    other = running.end()
    assert other.code == 1
    assert f"Job {job_id} was cancelled: cancelled on the command line" in other.err


def test_a_job_that_is_over_stays_as_it_is(cli):
    job_id = cli("run", *SMALL).json["job_id"]
    ended = cli("cancel", job_id, "--json")
    assert (ended.code, ended.json["state"]) == (1, "succeeded")
    assert f"error: Job {job_id} was over before: succeeded." in ended.err


def test_looking_at_jobs_runs_none(cli, child, slow):
    running = child("run", *slow, "--verbose")
    running.line_of_stderr("running")
    running.process.kill()
    running.process.wait()
    job = cli("jobs", "--json").json[0]
    assert job["state"] in ("queued", "running")
    assert cli("jobs", job["job_id"], "--json").json["state"] == "queued"
    running.end(signal.SIGKILL)
