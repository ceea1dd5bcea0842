// A GraphQL server that counts how often each mutation was executed, as lenient as servers are: it takes batches and
// forms, and what the query string says of the operation's name and document counts where the body says nothing.
// Usage: node yoga.cjs PORT
const http = require("node:http");
const { createSchema, createYoga } = require("graphql-yoga");

const executed = {};

const schema = createSchema({
  typeDefs: "type Query { item(id: Int!): String } type Mutation { pay(id: String!): String }",
  resolvers: {
    Query: { item: (_, { id }) => `item ${id}` },
    Mutation: {
      pay: (_, { id }) => {
        executed[id] = (executed[id] ?? 0) + 1;
        return `paid ${id}`;
      },
    },
  },
});

const lenient = {
  onParams({ request, params, setParams }) {
    const url = new URL(request.url).searchParams;
    const merged = { ...params };
    for (const name of ["query", "operationName"]) merged[name] ??= url.get(name) ?? undefined;
    setParams(merged);
  },
};

const yoga = createYoga({ schema, batching: true, logging: false, plugins: [lenient] });

http
  .createServer((request, response) => {
    if (request.url !== "/executed") return yoga(request, response);
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(executed));
  })
  .listen(Number(process.argv[2]), "127.0.0.1");
