// A table over HTTP by Node's `pg`: GET /rows/ID of the table that is named, where DATABASE says.

const http = require("node:http");
const { Pool } = require("pg");

const [port, table] = process.argv.slice(2);
const pool = new Pool({ connectionString: process.env.DATABASE, max: 16 });
const SELECT = `SELECT id, first, last, note, price::text AS price, to_json(made) AS made FROM ${table} WHERE id = $1`;

const server = http.createServer(async (request, response) => {
  const id = Number(request.url.split("/").pop());
  const found = await pool.query({ name: "row", text: SELECT, values: [id] }).catch((error) => ({ error: String(error) }));
  const row = found.error ? found : found.rows[0];
  response.writeHead(row === undefined ? 404 : found.error ? 500 : 200, { "content-type": "application/json" });
  response.end(JSON.stringify(row ?? {}));
});

server.listen(Number(port), "127.0.0.1");
