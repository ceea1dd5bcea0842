"""Serves the rows of a table as JSON: GET /NAME/ID, or 404 without one."""

import http.server
import json


def serve(port, row):
    """`row` gives the fields of the row with an id, or nothing."""

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

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    server.serve_forever()
