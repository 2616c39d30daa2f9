"""The tables. Entry n of `MIGRATIONS` brings a file from version n to n + 1."""

from __future__ import annotations

FIRST = """
CREATE TABLE jobs (
    n                INTEGER PRIMARY KEY AUTOINCREMENT,
    id               TEXT NOT NULL UNIQUE,
    owner            TEXT NOT NULL,
    project          TEXT NOT NULL,
    model            TEXT NOT NULL,
    state            TEXT NOT NULL,
    door             TEXT NOT NULL,
    arguments        TEXT NOT NULL,
    seed             INTEGER,
    backend          TEXT NOT NULL,
    route            TEXT NOT NULL,
    why_route        TEXT NOT NULL,
    quoted           REAL,
    reserved         REAL NOT NULL DEFAULT 0,
    cost             REAL,
    priority         INTEGER NOT NULL,
    key              TEXT,
    fingerprint      TEXT,
    created_at       REAL NOT NULL,
    started_at       REAL,
    ended_at         REAL,
    answered_at      REAL,
    attempt          INTEGER NOT NULL DEFAULT 0,
    spent            INTEGER NOT NULL DEFAULT 0,
    claimed_by       TEXT,
    cancel_requested TEXT,
    step             INTEGER,
    total            INTEGER,
    message          TEXT NOT NULL DEFAULT '',
    remote_id        TEXT,
    facts            TEXT NOT NULL DEFAULT '{}',
    findings         TEXT NOT NULL DEFAULT '[]',
    failure          TEXT,
    parents          TEXT NOT NULL DEFAULT '[]'
);
CREATE INDEX jobs_queued ON jobs(backend, priority DESC, n) WHERE state = 'queued';
CREATE INDEX jobs_running ON jobs(claimed_by) WHERE state = 'running';
CREATE INDEX jobs_of_owner ON jobs(owner, n);
CREATE INDEX jobs_by_key ON jobs(owner, project, key, n) WHERE key IS NOT NULL;

CREATE TABLE events (
    n          INTEGER PRIMARY KEY AUTOINCREMENT,
    job        INTEGER NOT NULL REFERENCES jobs(n),
    seq        INTEGER NOT NULL,
    at         REAL NOT NULL,
    kind       TEXT NOT NULL,
    step       INTEGER,
    total      INTEGER,
    message    TEXT NOT NULL,
    written_by TEXT NOT NULL,
    UNIQUE (job, seq)
);

CREATE TABLE job_assets (
    n       INTEGER PRIMARY KEY AUTOINCREMENT,
    job     INTEGER NOT NULL REFERENCES jobs(n),
    attempt INTEGER NOT NULL,
    side    TEXT NOT NULL CHECK (side IN ('in', 'out')),
    place   INTEGER NOT NULL,
    uri     TEXT NOT NULL,
    asset   TEXT NOT NULL,
    UNIQUE (job, side, attempt, place)
);
CREATE INDEX job_assets_by_uri ON job_assets(uri);

CREATE TABLE instances (
    id        TEXT PRIMARY KEY,
    pid       INTEGER NOT NULL,
    host      TEXT NOT NULL,
    started   TEXT NOT NULL,
    heartbeat REAL NOT NULL
);
"""

MIGRATIONS: tuple[str, ...] = (FIRST,)
