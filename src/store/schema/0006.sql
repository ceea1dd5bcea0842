-- Classes retain examples, the newest of each. A mismatch is retained by the classes of its differences; every other
-- example, and a mismatch past the limit on classes, by a class without a kind, of its route and outcome. `outcome` is one
-- of mismatches/record.rs.

ALTER TABLE mismatch_classes ADD COLUMN outcome INTEGER NOT NULL DEFAULT 0;
INSERT INTO mismatch_classes
  SELECT -8 * route - iif(pile = 1, 0, pile), route, '', '', kept, 0, 0, kept, iif(pile = 1, 0, pile)
  FROM mismatch_piles WHERE pile <> 0;
INSERT INTO mismatch_shown
  SELECT -8 * route - iif(pile = 1, 0, pile), iif(pile = 1, 0, pile), number FROM mismatches WHERE pile <> 0;
UPDATE mismatches SET pile = 0 WHERE pile = 1;
DROP TABLE mismatch_piles;

ALTER TABLE mismatches RENAME COLUMN pile TO outcome;
DROP INDEX mismatches_by_pile;
CREATE INDEX mismatches_by_outcome ON mismatches (outcome);
ALTER TABLE mismatches DROP COLUMN classes;
-- Which class shows which example. If the outcome is that of the class, the class retains it.
ALTER TABLE mismatch_shown RENAME COLUMN pile TO outcome;
CREATE INDEX mismatch_shown_by_number ON mismatch_shown (number);

-- One row: how many examples there are, and their bytes with their share of the indexes. Triggers count it, and `kept`
-- of each class.
CREATE TABLE mismatch_totals (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  kept INTEGER NOT NULL,
  bytes INTEGER NOT NULL
) STRICT;
INSERT INTO mismatch_totals
  SELECT 1, count(*), coalesce(sum(length(document) + 160), 0) + 60 * (SELECT count(*) FROM mismatch_shown)
  FROM mismatches;

CREATE TRIGGER mismatch_added AFTER INSERT ON mismatches BEGIN
  UPDATE mismatch_totals SET kept = kept + 1, bytes = bytes + length(new.document) + 160;
END;
CREATE TRIGGER mismatch_removed AFTER DELETE ON mismatches BEGIN
  UPDATE mismatch_totals SET kept = kept - 1, bytes = bytes - length(old.document) - 160;
  DELETE FROM mismatch_shown WHERE number = old.number;
END;
CREATE TRIGGER mismatch_linked AFTER INSERT ON mismatch_shown BEGIN
  UPDATE mismatch_totals SET bytes = bytes + 60;
  UPDATE mismatch_classes SET kept = kept + 1 WHERE id = new.class AND outcome = new.outcome;
END;
CREATE TRIGGER mismatch_unlinked AFTER DELETE ON mismatch_shown BEGIN
  UPDATE mismatch_totals SET bytes = bytes - 60;
  UPDATE mismatch_classes SET kept = kept - 1 WHERE id = old.class AND outcome = old.outcome;
END;

-- Each check counts for the build that answered it.
ALTER TABLE tallies DROP COLUMN unattributed;
