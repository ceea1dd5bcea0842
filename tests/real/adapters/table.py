"""A table over HTTP by pg8000: GET /rows/ID of the table that is named. Its fields have another order, and more space."""

import http.server
import json
import sys
import threading

import pg8000.native

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


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16
    disable_nagle_algorithm = True

    def do_GET(self):
        found = row(int(self.path.rsplit("/", 1)[-1]))
        body = json.dumps(found or {}, indent=1).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Handler)
server.daemon_threads = True
server.serve_forever()
