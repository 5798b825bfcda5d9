"""Files as earlier versions of the program made them, by the SQL and the values of that time."""

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

# Commits 259cb1f to b73e9b4.
JOURNAL_1 = """
CREATE TABLE events (
    sequence INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    entry_ms INTEGER NOT NULL,
    entry_step INTEGER NOT NULL,
    event TEXT NOT NULL
) STRICT;
CREATE TABLE cursors (publisher TEXT PRIMARY KEY, sequence INTEGER NOT NULL) STRICT;
CREATE TABLE dead_letters (
    publisher TEXT NOT NULL,
    sequence INTEGER NOT NULL REFERENCES events (sequence),
    reason TEXT NOT NULL,
    PRIMARY KEY (publisher, sequence)
) STRICT;
CREATE TABLE states (name TEXT PRIMARY KEY, state TEXT NOT NULL) STRICT;
CREATE TABLE done_files (path TEXT PRIMARY KEY) STRICT;
PRAGMA application_id = 0x53656143;
PRAGMA user_version = 1;
"""

# Commit 3924fe5 on.
JOURNAL_2 = """
CREATE TABLE events (
    sequence INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    entry_ms INTEGER NOT NULL,
    entry_step INTEGER NOT NULL,
    event TEXT NOT NULL
) STRICT;
CREATE TABLE cursors (publisher TEXT PRIMARY KEY, sequence INTEGER NOT NULL) STRICT;
CREATE TABLE dead_letters (
    publisher TEXT NOT NULL,
    sequence INTEGER NOT NULL REFERENCES events (sequence),
    reason TEXT NOT NULL,
    refused_ms INTEGER,
    retry INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (publisher, sequence)
) STRICT;
CREATE TABLE states (name TEXT PRIMARY KEY, state TEXT NOT NULL) STRICT;
CREATE TABLE done_files (path TEXT PRIMARY KEY) STRICT;
PRAGMA application_id = 0x53656143;
PRAGMA user_version = 2;
"""
JOURNALS = {1: JOURNAL_1, 2: JOURNAL_2}

# Commit 6e62831 on.
SPOOL_1 = """
CREATE TABLE run (name TEXT NOT NULL) STRICT;
CREATE TABLE envelopes (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    hydrophone TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('image', 'shed', 'other')),
    bytes INTEGER NOT NULL,
    spooled_s REAL NOT NULL,
    epoch TEXT,
    first_sample INTEGER,
    end_sample INTEGER,
    record BLOB NOT NULL
) STRICT;
CREATE INDEX by_hydrophone ON envelopes (hydrophone, number, kind, bytes);
CREATE INDEX images ON envelopes (kind, number);
CREATE TABLE hydrophones (
    name TEXT PRIMARY KEY,
    kept_epoch TEXT,
    kept_end_sample INTEGER,
    shed_images INTEGER NOT NULL DEFAULT 0,
    shed_samples INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE done_files (path TEXT PRIMARY KEY) STRICT;
INSERT INTO run VALUES ('2026-11-21T10:00:00+00:00');
INSERT INTO envelopes VALUES (7, 'north', 'other', 3, 1.5, NULL, NULL, NULL, x'010203');
INSERT INTO hydrophones (name) VALUES ('north');
PRAGMA application_id = 0x53656149;
PRAGMA user_version = 1;
"""

# Commits c93bad3 to e4e5456: no version was written.
HOURS_0 = """
CREATE TABLE IF NOT EXISTS parts (
    hour TEXT NOT NULL, station TEXT NOT NULL, hydrophone TEXT NOT NULL, key TEXT NOT NULL,
    changes INTEGER NOT NULL, part BLOB NOT NULL,
    PRIMARY KEY (hour, station, hydrophone, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hydrophones (
    station TEXT NOT NULL, hydrophone TEXT NOT NULL,
    first_hour TEXT NOT NULL, last_hour TEXT NOT NULL, heard_until TEXT NOT NULL, told_ms INTEGER NOT NULL,
    PRIMARY KEY (station, hydrophone)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS species (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS place (next_offset INTEGER NOT NULL, told_ms INTEGER);
INSERT INTO place SELECT 0, NULL WHERE NOT EXISTS (SELECT 1 FROM place);
UPDATE place SET next_offset = 42, told_ms = 1000;
INSERT INTO species VALUES ('beluga');
"""

# What a station of commit b73e9b4 had in its journal when it was killed: a porpoise was there.
STARTED = (
    '{"id":"38a1e618-d927-5707-b4af-bbf6bf193136","kind":"started","station":"pier","hydrophone":"north",'
    '"species":"porpoise","call_types":["porpoise_click"],"epoch":"2026-11-21T15:29:46.405742Z",'
    '"sample_rate_hz":384000,"onset_sample":297984,"offset_sample":374784,"onset":"2026-11-21T15:29:47.181742Z",'
    '"offset":"2026-11-21T15:29:47.381742Z","revision":0,"reason":null,"peak_probability":1.0,'
    '"mean_probability":1.0,"windows_seen":1,"windows_positive":1,"band_hz":{"low":117000.0,"high":144000.0},'
    '"coverage":1.0,"persistent_source":false,"evidence":null,"model_id":"seacanary-mgc-3cf66979-f68f",'
    '"source_file":null}'
)
TRACKER = (
    '{"frame":{"epoch":"2026-11-21T15:29:46.405742Z","sample_rate_hz":384000,"anchor_sample":1179648,'
    '"anchor":"2026-11-21T15:29:49.477742Z"},"now_here":1572864,"analysed_until_here":1572864,'
    '"not_before_here":297985,"sightings":[{"first_sample":1179648,"end_sample":1572864,"probability":1.0,'
    '"over_enter":true,"over_leave":true,"certain":true,"persistent":false,"onset_sample":1489920,'
    '"offset_sample":1571328,"onset":"2026-11-21T15:29:50.285742Z","offset":"2026-11-21T15:29:50.497742Z",'
    '"band_hz":{"low":118000.0,"high":136000.0},"call_types":["porpoise_click"],'
    '"model_id":"seacanary-mgc-3cf66979-f68f","source_file":null,"undecided":false,"windows":1}],'
    '"presence":{"epoch":"2026-11-21T15:29:46.405742Z","sample_rate_hz":384000,"onset_sample":297984,'
    '"onset":"2026-11-21T15:29:47.181742Z","onset_here":297984,"offset_here":1571328,'
    '"offset":"2026-11-21T15:29:50.497742Z","positive_until_here":1572864,"quiet_samples":0,'
    '"decided_until_here":1572864,"observed_samples":1274880,"next_update_here":345993216,"revision":0,'
    '"peak_probability":1.0,"probability_sum":6.999998927116394,"windows_seen":7,"windows_positive":7,'
    '"band_hz":{"low":114000.0,"high":144000.0},"call_types":["porpoise_click"],"persistent":false,'
    '"model_id":"seacanary-mgc-3cf66979-f68f","source_file":null},"left":[]}'
)
GUARD = (
    '{"epoch":"2026-11-21T15:29:46.405742Z","analysed_until":1572864,"sources":[{"call_type":"porpoise_click",'
    '"flagged":false,"band_hz":{"low":116428.57142857143,"high":140285.7142857143},'
    '"since":"2026-11-21T15:29:46.405742Z","matched":7,"masked":0,"missed":0,"observed_samples":1572864,'
    '"quiet_samples":0,"fill_mean":0.5223214285714286,"fill_spread":0.5061863490513393}]}'
)
STATES = {"north/porpoise": TRACKER, "north/guard": GUARD}


def made(path: Path, *scripts: str) -> Path:
    """Make an SQLite file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for script in scripts:
            connection.executescript(script)
    return path


def old_journal(path: Path, version: int) -> Path:
    """A journal of a version, as a station left it whose porpoise was still there; a webhook had refused the event."""
    made(path, JOURNALS[version])
    started = json.loads(STARTED)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("INSERT INTO events VALUES (1, ?, 1795274989613, 0, ?)", (started["id"], STARTED))
        connection.executemany("INSERT INTO states VALUES (?, ?)", STATES.items())
        connection.execute("INSERT INTO cursors VALUES ('jsonl', 1), ('webhook', 1)")
        connection.execute("INSERT INTO dead_letters (publisher, sequence, reason) VALUES ('webhook', 1, '410 Gone')")
        connection.execute("INSERT INTO done_files VALUES ('/recordings/a.wav')")
    return path


def version_of(path: Path) -> int:
    """The version that an SQLite file says it has."""
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def tables_of(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Columns by table, as SQLite describes them."""
    with closing(sqlite3.connect(path)) as connection:
        named: Iterable[tuple[str]] = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {name: connection.execute(f"PRAGMA table_info({name})").fetchall() for (name,) in list(named)}


def make_newer(path: Path, version: int) -> Path:
    """Have a file say that it is of a version."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    return path
