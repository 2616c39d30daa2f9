"""`export` and `import`: what is written comes back whole, or not at all."""

from __future__ import annotations

import gzip
import io
import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from media_mcp.queue.archive import ArchiveReader, ArchiveWriter

SMALL = ("rehearsal/image", "width=64", "height=64")
TABLES = ("jobs", "events", "job_assets", "ledger", "lifetimes", "holdings", "spent")


@pytest.fixture
def made(cli):
    """Two jobs, the first of which is pinned; returns their facts."""
    jobs = [cli("run", *SMALL, f"prompt=p{seed}", f"seed={seed}").json for seed in (1, 2)]
    cli("assets", "pin", jobs[0]["job_id"])
    return jobs


def rows(folder: Path, *tables: str) -> dict[str, list[tuple]]:
    with closing(sqlite3.connect(folder / "jobs.sqlite")) as db:
        return {name: db.execute(f"SELECT * FROM {name}").fetchall() for name in tables or TABLES}


def members(path: Path) -> list[tuple[str, bytes]]:
    with path.open("rb") as file:
        return [(each.name, b"".join(iter(each.read, b""))) for each in ArchiveReader(file)]


def written(path: Path, given: list[tuple[str, bytes]]) -> Path:
    with path.open("wb") as file:
        archive = ArchiveWriter(file)
        for name, data in given:
            archive.file(name, len(data), io.BytesIO(data))
        archive.close()
    return path


def changed(path: Path, kind: str, change) -> Path:
    """Write an archive again with the members of a kind changed."""
    told = [(name, change(data) if name.startswith(kind) else data) for name, data in members(path)]
    return written(path.with_name("changed.tar.gz"), told)


def record(change):
    """Change each record of a job."""

    def all_of(data: bytes) -> bytes:
        lines = []
        for line in data.splitlines():
            told = json.loads(line)
            if "job" in told:
                told = change(told) or told
            lines.append(json.dumps(told))
        return "\n".join(lines).encode()

    return all_of


def test_all_comes_back_on_another_machine(cli, place, made):
    ended = cli("export", "b.tar.gz")
    assert (ended.code, ended.out) == (0, "")
    assert "Exported 2 jobs and 2 assets" in ended.err
    assert stat.S_IMODE((place / "b.tar.gz").stat().st_mode) == 0o600
    other = place / "other"
    told = cli("import", "b.tar.gz", "--data-dir", other)
    assert told.code == 0, told.err
    assert "Imported 2 jobs and 2 assets; 0 jobs and 0 assets were here already." in told.err
    shown = cli("jobs", made[0]["job_id"], "--json", "--data-dir", other).json
    here = cli("jobs", made[0]["job_id"], "--json").json
    path = Path(shown["assets"][0].pop("path"))
    assert path.is_relative_to(other) and path.name == Path(here["assets"][0].pop("path")).name
    assert shown == here
    assert [each["pinned"] for each in cli("assets", "list", "--json", "--data-dir", other).json]
    side = next((other / "assets" / "index").rglob("*.json"))
    assert json.loads(side.read_text())["provenance"]["model"] == "rehearsal/image"


def test_a_second_import_changes_nothing(cli, place, made):
    cli("export", "b.tar.gz")
    other = place / "other"
    cli("import", "b.tar.gz", "--data-dir", other)
    before = rows(other), sorted(path.stat().st_mtime_ns for path in other.rglob("*.json"))
    told = cli("import", "b.tar.gz", "--data-dir", other)
    assert "Imported 0 jobs and 0 assets; 2 jobs and 2 assets were here already." in told.err
    after = rows(other), sorted(path.stat().st_mtime_ns for path in other.rglob("*.json"))
    assert after == before
    assert cli("import", "b.tar.gz").code == 0  # nor does one where it came from


def test_the_same_is_written_as_the_same_bytes(cli, place, made):
    cli("export", "a.tar.gz")
    cli("export", "b.tar.gz")
    assert (place / "a.tar.gz").read_bytes() == (place / "b.tar.gz").read_bytes()
    cli("import", "a.tar.gz", "--data-dir", place / "other")
    cli("export", "c.tar.gz", "--data-dir", place / "other")
    again = {name for name, _ in members(place / "c.tar.gz")}
    assert again == {name for name, _ in members(place / "a.tar.gz")}


def test_a_part_is_written_when_it_is_asked_for(cli, place, made):
    for words, jobs, assets in (
        (("--owner", "ann"), 0, 0),
        (("--project", "films"), 0, 0),
        (("--since", "2099-01-01"), 0, 0),
        (("--since", "2020-01-01", "--owner", "local", "--project", "default"), 2, 2),
    ):
        ended = cli("export", "b.tar.gz", *words)
        assert f"Exported {jobs} jobs and {assets} assets" in ended.err, ended.err


def test_keys_and_addresses_of_webhooks_stay_behind(cli, place, made):
    with closing(sqlite3.connect(place / "data" / "jobs.sqlite")) as db, db:
        db.execute('UPDATE jobs SET webhook = \'["https://x/?secret=planted",""]\'')
    (place / "data" / "server.key").write_text("planted key")
    cli("keys", "create", "ann")
    cli("export", "b.tar.gz")
    assert b"planted" not in gzip.decompress((place / "b.tar.gz").read_bytes())
    assert b"mmk" not in gzip.decompress((place / "b.tar.gz").read_bytes())


def test_what_it_cost_counts_here_and_the_books_balance(cli, place, made):
    data = place / "data"
    with closing(sqlite3.connect(data / "jobs.sqlite")) as db, db:
        db.execute(
            "INSERT INTO ledger (job, owner, project, model, backend, at, kind, usd, gpu_seconds) "
            "SELECT n, owner, project, model, backend, ended_at, 'charge', 0.75, 2 FROM jobs"
        )
    cli("export", "b.tar.gz")
    other = place / "other"
    cli("import", "b.tar.gz", "--data-dir", other)
    spent = [cli("spend", "--json", "--data-dir", each).json for each in (data, other)]
    assert spent[1] == spent[0] and spent[1]["cost"] == 1.5
    assert sorted(rows(other, "spent")["spent"]) == sorted(rows(data, "spent")["spent"])


def test_what_had_not_ended_arrives_as_lost_and_runs_nowhere(cli, place, child, slow):
    running = child("run", *slow, "--verbose")
    running.line_of_stderr("running")
    with closing(sqlite3.connect(place / "data" / "jobs.sqlite")) as db, db:
        db.execute("UPDATE jobs SET remote_id = 'r-17', reserved = 0.5")
        db.execute(
            "INSERT INTO ledger (job, owner, project, model, backend, at, kind, usd, gpu_seconds) "
            "SELECT n, owner, project, model, backend, created_at, 'reserve', 0.5, 0 FROM jobs"
        )
    assert cli("export", "b.tar.gz").code == 0  # while its server runs
    running.end(signal.SIGKILL)
    other = place / "other"
    assert cli("import", "b.tar.gz", "--data-dir", other).code == 0
    (job,) = cli("jobs", "--json", "--data-dir", other).json
    assert job["state"] == "lost"
    assert "running on another machine" in job["error"]["message"]
    assert "r-17" in job["error"]["message"] and "fresh: true" in job["error"]["hint"]
    spent = cli("spend", "--json", "--data-dir", other).json
    assert (spent["cost"], spent["unsure"], spent["reserved"]) == (0.5, 0.5, 0)


def test_damaged_and_missing_files_are_left_out_and_said(cli, place, made):
    first, second = (Path(job["assets"][0]["path"]) for job in made)
    first.write_bytes(b"rotten")
    second.unlink()
    ended = cli("export", "b.tar.gz")
    assert "0 assets" in ended.err and "2 files are missing or damaged" in ended.err
    told = cli("import", "b.tar.gz", "--data-dir", place / "other")
    assert told.code == 0, told.err
    shown = cli("jobs", made[1]["job_id"], "--json", "--data-dir", place / "other").json
    assert shown["assets"][0]["removed"].endswith("it was missing")


def test_an_archive_goes_through_a_pipe(place, made):
    call = [sys.executable, "-c", "import sys; from media_mcp.cli import main; sys.exit(main())"]
    out = subprocess.run([*call, "export", "-"], capture_output=True, check=True)
    back = subprocess.run(
        [*call, "import", "-", "--data-dir", "other"], input=out.stdout, capture_output=True
    )
    assert b"Imported 2 jobs and 2 assets" in back.stderr, back.stderr


def test_an_export_that_fails_leaves_no_file(cli, place, made):
    ended = cli("export", place / "nowhere" / "b.tar.gz")
    assert ended.code == 1 and "cannot be written: no such file" in ended.err
    assert cli("export", "b.tar.gz", "--data-dir", place / "empty").code == 2
    assert not list(place.glob("*.tar.gz")) and not list(place.glob(".b.tar*"))
    assert "cannot be opened" in cli("import", "nothing.tar.gz").err


KILLED = """
import os, signal, sys
from media_mcp.cli import main
from media_mcp.media import store
admit, left = store.MediaStore._admit, [int(sys.argv[1])]

def die(*given):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    return admit(*given)

store.MediaStore._admit = die
from media_mcp.queue.sqlite import records
if left[0] > 2:
    records._put_holding = lambda *given: os.kill(os.getpid(), signal.SIGKILL)
main(["import", "b.tar.gz", "--data-dir", "other"])
"""


@pytest.mark.parametrize("moment", [1, 2, 9], ids=["first file", "second file", "in the records"])
def test_an_import_that_was_killed_is_made_whole_by_the_next(cli, place, made, moment):
    cli("export", "b.tar.gz")
    killed = subprocess.run([sys.executable, "-c", KILLED, str(moment)], env=os.environ)
    assert killed.returncode == -signal.SIGKILL
    other = place / "other"
    assert rows(other, "jobs")["jobs"] == []
    told = cli("import", "b.tar.gz", "--data-dir", other)
    assert "Imported 2 jobs" in told.err, told.err
    for job in made:
        shown = cli("jobs", job["job_id"], "--json", "--data-dir", other).json
        assert Path(shown["assets"][0]["path"]).stat().st_size == job["assets"][0]["bytes"]
    assert len(rows(other, "holdings")["holdings"]) == 2
