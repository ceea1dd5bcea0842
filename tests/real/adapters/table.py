"""A table over HTTP by pg8000: GET /rows/ID of the table that is named. Its fields have another order, and more space."""

import json
import sys
import threading

import pg8000.native
from rows import serve

PORT, DATABASE_PORT, TABLE = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
FIELDS = ("made", "price", "note", "last", "first", "id")
SELECT = f"SELECT to_json(made)::text, price::text, note, last, first, id FROM {TABLE} WHERE id = :id"

connections = threading.local()


def row(key):
    if not hasattr(connections, "statement"):
        connection = pg8000.native.Connection("postgres", host="127.0.0.1", port=DATABASE_PORT)
        connections.statement = connection.prepare(SELECT)
    rows = connections.statement.run(id=key)
    if not rows:
        return None
    found = dict(zip(FIELDS, rows[0]))
    return {**found, "made": json.loads(found["made"])}


serve(PORT, row)
