"""The same table over HTTP by pg8000, reading at a replica: GET /items/ID. The name of one key is wrong until a file says mended."""

import pathlib
import sys
import threading

import pg8000.native
from rows import serve

PORT, DATABASE_PORT, MENDED = int(sys.argv[1]), int(sys.argv[2]), pathlib.Path(sys.argv[3])
CORRUPT = 17
SELECT = "SELECT version, updated::text, price::text, name, id FROM items WHERE id = :id"

connections = threading.local()


def row(key):
    if not hasattr(connections, "own"):
        connections.own = pg8000.native.Connection("postgres", host="127.0.0.1", port=DATABASE_PORT)
    rows = connections.own.run(SELECT, id=key)
    if not rows:
        return None
    found = dict(zip(("version", "updated", "price", "name", "id"), rows[0]))
    if key == CORRUPT and not MENDED.exists():
        found["name"] = found["name"].lower()
    return found


serve(PORT, row)
