-- Of the matches: of answers that are not, or not known to be, of the epoch's build.
ALTER TABLE tallies ADD COLUMN unattributed INTEGER NOT NULL DEFAULT 0;
