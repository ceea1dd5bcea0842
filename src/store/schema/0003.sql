-- From 1 on, in the order in which the routes of an epoch became required; null: it never was.
ALTER TABLE tallies ADD COLUMN rank INTEGER;
