-- Figures, settings and histories. Instants are nanoseconds since 1970, UTC.

CREATE TABLE epochs (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  label TEXT,
  -- Of the new stack.
  version TEXT,
  -- The same in epochs that differ in nothing but the version.
  series INTEGER NOT NULL,
  cause TEXT NOT NULL,
  since_ns INTEGER NOT NULL,
  until_ns INTEGER,
  -- What makes its checks comparable: JSON.
  comparable TEXT NOT NULL
) STRICT;

-- Everything counted in an epoch so far. Cumulative: to write it twice changes nothing.
CREATE TABLE tallies (
  id INTEGER PRIMARY KEY,
  epoch INTEGER NOT NULL REFERENCES epochs ON DELETE CASCADE,
  route TEXT NOT NULL,
  -- In which order the routes appeared.
  place INTEGER NOT NULL,
  live INTEGER NOT NULL,
  reads INTEGER NOT NULL,
  sampled INTEGER NOT NULL,
  delayed INTEGER NOT NULL,
  -- JSON: {"mismatch/auth": 3}
  outcomes TEXT NOT NULL,
  -- Its checks in time: JSON.
  record TEXT NOT NULL,
  last_mismatch_ns INTEGER,
  old_latency BLOB NOT NULL,
  new_latency BLOB NOT NULL,
  UNIQUE (epoch, route)
) STRICT;

-- What was counted in each minute since 1970, and in each hour once its minutes are two days old.
CREATE TABLE minutes (
  minute INTEGER NOT NULL,
  tally INTEGER NOT NULL REFERENCES tallies ON DELETE CASCADE,
  live INTEGER NOT NULL,
  reads INTEGER NOT NULL,
  sampled INTEGER NOT NULL,
  match_exact INTEGER NOT NULL,
  match_rules INTEGER NOT NULL,
  mismatch INTEGER NOT NULL,
  transient INTEGER NOT NULL,
  noise INTEGER NOT NULL,
  shadow_error INTEGER NOT NULL,
  not_compared INTEGER NOT NULL,
  PRIMARY KEY (minute, tally)
) STRICT, WITHOUT ROWID;

CREATE INDEX minutes_of_tally ON minutes (tally);

CREATE TABLE hours (
  hour INTEGER NOT NULL,
  tally INTEGER NOT NULL REFERENCES tallies ON DELETE CASCADE,
  live INTEGER NOT NULL,
  reads INTEGER NOT NULL,
  sampled INTEGER NOT NULL,
  match_exact INTEGER NOT NULL,
  match_rules INTEGER NOT NULL,
  mismatch INTEGER NOT NULL,
  transient INTEGER NOT NULL,
  noise INTEGER NOT NULL,
  shadow_error INTEGER NOT NULL,
  not_compared INTEGER NOT NULL,
  PRIMARY KEY (hour, tally)
) STRICT, WITHOUT ROWID;

CREATE INDEX hours_of_tally ON hours (tally);

CREATE TABLE rule_counts (
  epoch INTEGER NOT NULL REFERENCES epochs ON DELETE CASCADE,
  rule TEXT NOT NULL,
  applied INTEGER NOT NULL,
  masked INTEGER NOT NULL,
  PRIMARY KEY (epoch, rule)
) STRICT, WITHOUT ROWID;

-- Renumbered ids that have met: hashes of 16 bytes.
CREATE TABLE pairs (
  epoch INTEGER NOT NULL REFERENCES epochs ON DELETE CASCADE,
  name TEXT NOT NULL,
  old BLOB NOT NULL,
  new BLOB NOT NULL,
  PRIMARY KEY (epoch, name, old)
) STRICT, WITHOUT ROWID;

-- What the API has changed: one row.
CREATE TABLE settings (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  revision INTEGER NOT NULL,
  -- JSON: what was changed, and every setting as it stood.
  changed TEXT NOT NULL,
  in_force TEXT NOT NULL
) STRICT;

-- The newest documents of each kind.
CREATE TABLE journal (
  kind TEXT NOT NULL,
  number INTEGER NOT NULL,
  at_ns INTEGER NOT NULL,
  document TEXT NOT NULL,
  PRIMARY KEY (kind, number)
) STRICT, WITHOUT ROWID;
