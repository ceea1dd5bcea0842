-- The epochs that examples are of, in the order in which they were first stored.
CREATE TABLE mismatch_epochs (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE
) STRICT;

-- What each epoch counted under a class.
CREATE TABLE mismatch_class_epochs (
  class INTEGER NOT NULL REFERENCES mismatch_classes ON DELETE CASCADE,
  epoch INTEGER NOT NULL REFERENCES mismatch_epochs ON DELETE CASCADE,
  count INTEGER NOT NULL,
  first_seen INTEGER NOT NULL,
  last_seen INTEGER NOT NULL,
  PRIMARY KEY (class, epoch)
) STRICT, WITHOUT ROWID;
CREATE INDEX mismatch_class_epochs_by_epoch ON mismatch_class_epochs (epoch);

-- 0: stored before epochs were, and of none.
ALTER TABLE mismatches ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;
CREATE INDEX mismatches_by_epoch ON mismatches (epoch, outcome);
