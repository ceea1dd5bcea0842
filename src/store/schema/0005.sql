-- The checks that are evidence, in the order in which they were sampled: JSON. What was stored before was counted as the
-- checks ended, which is no evidence: it starts again.
ALTER TABLE tallies ADD COLUMN evidence TEXT NOT NULL DEFAULT '{}';
-- Bitmaps of the keys that reads were sampled by, compressed with zstd.
ALTER TABLE tallies ADD COLUMN keys BLOB;
ALTER TABLE tallies ADD COLUMN forced INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tallies DROP COLUMN record;
ALTER TABLE tallies DROP COLUMN last_mismatch_ns;
ALTER TABLE tallies DROP COLUMN rank;
