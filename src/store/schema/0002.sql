-- Examples of checks that showed something, and the classes of mismatches. `pile` is 0 (retained by
-- a class), 1 (past the limit on classes), 2 (transient), 3 (noise) or 4 (shadow error); times are milliseconds since 1970.

CREATE TABLE mismatch_routes (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE
) STRICT;

-- `number` rises in the order in which they came, and `filed` with it, whatever the clock does.
CREATE TABLE mismatches (
  number INTEGER PRIMARY KEY,
  id INTEGER NOT NULL,
  route INTEGER NOT NULL,
  pile INTEGER NOT NULL,
  filed INTEGER NOT NULL,
  ended INTEGER NOT NULL,
  classes BLOB NOT NULL,
  document BLOB NOT NULL
) STRICT;
CREATE INDEX mismatches_by_id ON mismatches (id);
CREATE INDEX mismatches_by_route ON mismatches (route, pile);
CREATE INDEX mismatches_by_pile ON mismatches (pile);
CREATE INDEX mismatches_by_time ON mismatches (filed);

-- Which class shows which example. On the pile of classed mismatches, the class holds it.
CREATE TABLE mismatch_shown (
  class INTEGER NOT NULL,
  pile INTEGER NOT NULL,
  number INTEGER NOT NULL,
  PRIMARY KEY (class, pile, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE mismatch_classes (
  id INTEGER PRIMARY KEY,
  route INTEGER NOT NULL,
  place TEXT NOT NULL,
  kind TEXT NOT NULL,
  count INTEGER NOT NULL,
  first_seen INTEGER NOT NULL,
  last_seen INTEGER NOT NULL,
  kept INTEGER NOT NULL
) STRICT;

-- What is there, so that nobody has to count it.
CREATE TABLE mismatch_piles (
  route INTEGER NOT NULL,
  pile INTEGER NOT NULL,
  kept INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  PRIMARY KEY (route, pile)
) STRICT, WITHOUT ROWID;
