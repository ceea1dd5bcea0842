// The table over HTTP by Node's `pg`, reading and writing where DATABASE says: GET and PUT /items/ID.

const http = require("node:http");
const { Pool } = require("pg");

const pool = new Pool({ connectionString: process.env.DATABASE });
const COLUMNS = "id, name, price::text AS price, version, updated::text AS updated";

async function answer(request, body) {
  const id = Number(new URL(request.url, "http://a").pathname.split("/").pop());
  if (request.method === "PUT") {
    const { name, price } = JSON.parse(body);
    const update = `UPDATE items SET name = $2, price = $3, version = version + 1, updated = now()
                    WHERE id = $1 RETURNING ${COLUMNS}`;
    return (await pool.query(update, [id, name, price])).rows[0];
  }
  return (await pool.query(`SELECT ${COLUMNS} FROM items WHERE id = $1`, [id])).rows[0];
}

const server = http.createServer(async (request, response) => {
  let body = "";
  for await (const chunk of request) body += chunk;
  const row = await answer(request, body).catch((error) => ({ error: String(error) }));
  const status = row === undefined ? 404 : row.error ? 500 : 200;
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(row ?? {}));
});

server.listen(Number(process.argv[2]), "127.0.0.1");
