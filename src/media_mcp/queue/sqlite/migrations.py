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

DURATIONS = """
CREATE INDEX jobs_succeeded ON jobs(model, backend, n) WHERE state = 'succeeded';
"""

LATER = """
ALTER TABLE jobs ADD COLUMN start_by REAL;
ALTER TABLE jobs ADD COLUMN private INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN lifetime REAL;
ALTER TABLE jobs ADD COLUMN webhook TEXT;
CREATE INDEX jobs_start_by ON jobs(start_by) WHERE state = 'queued' AND start_by IS NOT NULL;

CREATE TABLE webhooks (
    job      INTEGER PRIMARY KEY REFERENCES jobs(n),
    state    TEXT NOT NULL CHECK (state IN ('due', 'delivered', 'failed')),
    attempts INTEGER NOT NULL DEFAULT 0,
    next_at  REAL NOT NULL,
    answer   TEXT NOT NULL DEFAULT ''
);
CREATE INDEX webhooks_due ON webhooks(next_at) WHERE state = 'due';

CREATE TABLE lifetimes (
    n          INTEGER PRIMARY KEY AUTOINCREMENT,
    uri        TEXT NOT NULL,
    owner      TEXT NOT NULL,
    job        INTEGER REFERENCES jobs(n),
    name       TEXT UNIQUE,
    expires_at REAL,
    check_at   REAL
);
CREATE INDEX lifetimes_by_uri ON lifetimes(uri);
CREATE INDEX lifetimes_to_check ON lifetimes(check_at) WHERE check_at IS NOT NULL;
"""

# Until now only the words of `why_route` told who had named the backend.
ROUTING = """
ALTER TABLE jobs ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN tried TEXT NOT NULL DEFAULT '[]';
UPDATE jobs SET pinned = 1
    WHERE state IN ('queued', 'running') AND why_route = backend || ': asked for'
"""

ONCE = """
ALTER TABLE jobs ADD COLUMN once INTEGER NOT NULL DEFAULT 0
"""

# Until now the rows alone told what was set aside and what was spent.
LEDGER = """
ALTER TABLE jobs ADD COLUMN gpu_quoted REAL;
ALTER TABLE jobs ADD COLUMN gpu_seconds REAL NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN reserved_gpu REAL NOT NULL DEFAULT 0;
CREATE INDEX jobs_reserving ON jobs(project, owner, reserved, reserved_gpu)
    WHERE reserved > 0 OR reserved_gpu > 0;

CREATE TABLE ledger (
    n           INTEGER PRIMARY KEY AUTOINCREMENT,
    job         INTEGER NOT NULL REFERENCES jobs(n),
    owner       TEXT NOT NULL,
    project     TEXT NOT NULL,
    model       TEXT NOT NULL,
    backend     TEXT NOT NULL,
    at          REAL NOT NULL,
    kind        TEXT NOT NULL CHECK (kind IN ('reserve', 'release', 'charge', 'unsure')),
    usd         REAL NOT NULL,
    gpu_seconds REAL NOT NULL
);
CREATE UNIQUE INDEX ledger_once ON ledger(job) WHERE kind IN ('charge', 'unsure');
CREATE INDEX ledger_of_job ON ledger(job);
CREATE INDEX ledger_spent ON ledger(at, owner, project, usd, gpu_seconds)
    WHERE kind IN ('charge', 'unsure');

INSERT INTO ledger (job, owner, project, model, backend, at, kind, usd, gpu_seconds)
    SELECT n, owner, project, model, backend, created_at, 'reserve', reserved, 0
    FROM jobs WHERE reserved > 0;
INSERT INTO ledger (job, owner, project, model, backend, at, kind, usd, gpu_seconds)
    SELECT n, owner, project, model, backend, ended_at, 'charge', cost, 0
    FROM jobs WHERE cost > 0 AND ended_at IS NOT NULL
"""

# What waits from before runs alone, as does what is tried again.
BATCH = """
ALTER TABLE jobs ADD COLUMN batch TEXT
"""

# Until now the argument told, which a private job forgets.
INLINE = """
ALTER TABLE jobs ADD COLUMN inline INTEGER NOT NULL DEFAULT 0;
UPDATE jobs SET inline = 1 WHERE json_type(arguments, '$.sync_mode') = 'true'
"""

# Until now each limit added up all lines there were. Day -1 is all days; a day is 86,400 s of UTC.
SPENT = """
CREATE TABLE spent (
    day         INTEGER NOT NULL,
    owner       TEXT NOT NULL,
    project     TEXT NOT NULL,
    usd         REAL NOT NULL,
    gpu_seconds REAL NOT NULL,
    PRIMARY KEY (day, owner, project)
) WITHOUT ROWID;
INSERT INTO spent SELECT -1, owner, project, total(usd), total(gpu_seconds)
    FROM ledger WHERE kind IN ('charge', 'unsure') GROUP BY owner, project;
INSERT INTO spent SELECT CAST(at / 86400 AS INTEGER), owner, project, total(usd), total(gpu_seconds)
    FROM ledger WHERE kind IN ('charge', 'unsure') GROUP BY 1, owner, project;
CREATE TRIGGER ledger_adds AFTER INSERT ON ledger WHEN new.kind IN ('charge', 'unsure') BEGIN
    INSERT INTO spent VALUES
        (-1, new.owner, new.project, new.usd, new.gpu_seconds),
        (CAST(new.at / 86400 AS INTEGER), new.owner, new.project, new.usd, new.gpu_seconds)
    ON CONFLICT DO UPDATE SET
        usd = usd + excluded.usd, gpu_seconds = gpu_seconds + excluded.gpu_seconds;
END
"""

# Until now nobody counted what is kept, and nothing was removed but what had a lifetime.
KEEPING = """
CREATE TABLE holdings (
    n          INTEGER PRIMARY KEY,
    owner      TEXT NOT NULL,
    uri        TEXT NOT NULL,
    size       INTEGER NOT NULL,
    used_at    REAL NOT NULL,
    pinned_at  REAL,
    removed_at REAL,
    removed_by TEXT,
    UNIQUE (owner, uri)
);
CREATE INDEX holdings_by_uri ON holdings(uri);
CREATE INDEX holdings_by_use ON holdings(used_at, n, size) WHERE removed_at IS NULL;

CREATE TABLE chores (
    name TEXT PRIMARY KEY,
    at   REAL NOT NULL
);
INSERT INTO chores VALUES ('born', (julianday('now') - 2440587.5) * 86400.0);

INSERT INTO holdings (owner, uri, size, used_at)
    SELECT owner, uri, max(size), max(at) FROM (
        SELECT owner, uri, coalesce(json_extract(asset, '$[4]'), 0) AS size,
            coalesce(ended_at, created_at) AS at
        FROM job_assets JOIN jobs ON jobs.n = job_assets.job
        UNION ALL
        SELECT owner, uri, 0, (julianday('now') - 2440587.5) * 86400.0
        FROM lifetimes WHERE job IS NULL)
    GROUP BY owner, uri
"""

TRAIL = """
ALTER TABLE jobs ADD COLUMN request TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN trace TEXT NOT NULL DEFAULT ''
"""

# Until now jobs went by priority and arrival. `rank` is the priority that one goes by: it rises.
TURNS = """
ALTER TABLE jobs ADD COLUMN rank INTEGER NOT NULL DEFAULT 0;
UPDATE jobs SET rank = priority WHERE priority <> 0;
DROP INDEX jobs_queued;
CREATE INDEX jobs_queued ON jobs(backend, rank, owner, project, model, n, state)
    WHERE state = 'queued';
CREATE INDEX jobs_rising ON jobs(backend, rank, created_at, state) WHERE state = 'queued';
CREATE INDEX jobs_batch ON jobs(batch, n) WHERE state = 'queued' AND batch IS NOT NULL;

CREATE TABLE turns (
    n       INTEGER PRIMARY KEY AUTOINCREMENT,
    backend TEXT NOT NULL,
    rank    INTEGER NOT NULL,
    owner   TEXT NOT NULL,
    project TEXT NOT NULL,
    turn    INTEGER NOT NULL,
    UNIQUE (backend, rank, owner, project)
);
CREATE INDEX turns_next ON turns(backend, rank, turn, n);
"""

MIGRATIONS: tuple[str, ...] = (
    FIRST,
    DURATIONS,
    LATER,
    ROUTING,
    ONCE,
    LEDGER,
    BATCH,
    INLINE,
    SPENT,
    KEEPING,
    TRAIL,
    TURNS,
)
