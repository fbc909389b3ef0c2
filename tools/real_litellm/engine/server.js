'use strict';
// Stands in for Prisma's query-engine executable: the same HTTP protocol in front, the same engine behind it, compiled
// to WebAssembly. ../README.md says where the two differ.

const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { Database, load } = require('./database.js');
const { fieldTypes, translate, unmark } = require('./graphql.js');

const RUNTIME = '@prisma/client/runtime/query_engine_bg.postgresql';
const PARENT_MILLISECONDS = 1000;

const schema = fs.readFileSync(process.env.PRISMA_DML_PATH, 'utf8');
const types = fieldTypes(schema);
const database = new Database();

const say = (text) => process.stderr.write(`[query engine ${process.pid}] ${text}\n`);

/** Starts the engine; fails, as the executable does, when there is no database to connect to. */
async function startEngine() {
  const bindings = load(`${RUNTIME}.js`);
  const code = new WebAssembly.Module(fs.readFileSync(path.join(process.env.STAND_IN_MODULES, `${RUNTIME}.wasm`)));
  bindings.__wbg_set_wasm(new WebAssembly.Instance(code, { './query_engine_bg.js': bindings }).exports);
  const generator = 'generator client {\n  provider = "prisma-client-js"\n  previewFeatures = ["driverAdapters"]\n}';
  const config = {
    datamodel: schema.replace(/^generator\s+\w+\s*\{[^}]*\}/m, generator),
    env: process.env,
    logQueries: false,
    ignoreEnvVarErrors: true,
    datasourceOverrides: {},
    logLevel: 'error',
    configDir: '.',
    engineProtocol: 'json',
  };
  const engine = new bindings.QueryEngine(config, () => {}, database.adapter);
  await engine.connect('{}');
  await database.probe();
  return engine;
}

const asError = ({ error_code, message, meta }) => ({
  error: message,
  user_facing_error: { is_panic: false, message, meta, error_code },
});

/** Returns an error of the engine; in place of one that only refers to the adapter's, the one that Prisma has for it. */
function worded(error) {
  const { error_code, meta } = error.user_facing_error ?? {};
  if (error_code !== 'P2036' || meta?.id === undefined) return error;
  const cause = database.taken(meta.id);
  const known = database.known(cause);
  if (known === null) say(`an error without a counterpart: ${cause?.stack ?? cause}`);
  return known === null ? error : asError(known);
}

/** Returns the rows of a raw query as prisma-client-py up to 0.13 reads them, each value with its type. */
function typedRows({ columns, types: kinds, rows }) {
  const typed = (value, kind) => {
    if (value === null) return { prisma__type: 'null', prisma__value: null };
    if (!kind.endsWith('-array')) return { prisma__type: kind, prisma__value: value };
    return { prisma__type: 'array', prisma__value: value.map((item) => typed(item, kind.slice(0, -'-array'.length))) };
  };
  return rows.map((row) => Object.fromEntries(row.map((value, at) => [columns[at], typed(value, kinds[at])])));
}

function asGraphql({ errors, data }, { alias, raw }) {
  if (errors) return { errors: errors.map(worded) };
  const [value] = Object.values(data);
  if (!raw) return { data: { [alias]: unmark(value) } };
  return { data: { [alias]: value?.columns ? typedRows(value) : value } };
}

async function answerQuery(engine, body, transaction) {
  const { batch, query } = JSON.parse(body);
  if (!batch) {
    const wanted = translate(query, types);
    return asGraphql(JSON.parse(await engine.query(wanted.body, '{}', transaction)), wanted);
  }
  const wanted = batch.map((item) => translate(item.query, types));
  const sent = `{"batch":[${wanted.map((item) => item.body).join(',')}],"transaction":{}}`;
  const result = JSON.parse(await engine.query(sent, '{}', transaction));
  if (!result.batchResult) return asGraphql(result, wanted[0]);
  return { batchResult: result.batchResult.map((item, at) => asGraphql(item, wanted[at])) };
}

async function answerTransaction(engine, id, step, body) {
  let result;
  if (step === 'start') {
    const { timeout, max_wait } = JSON.parse(body);
    result = JSON.parse(await engine.startTransaction(JSON.stringify({ timeout, max_wait }), '{}'));
  } else {
    const end = step === 'commit' ? 'commitTransaction' : 'rollbackTransaction';
    result = JSON.parse(await engine[end](id, '{}'));
  }
  return result.error_code ? { errors: [worded(asError(result))] } : result;
}

async function answer(engine, { method, url, headers }, body) {
  if (url === '/status') return { status: 'ok' };
  const [, id, step] = /^\/transaction\/(?:([^/]+)\/)?(start|commit|rollback)$/.exec(url) ?? [];
  if (step) return answerTransaction(engine, id, step, body);
  if (method === 'POST' && url === '/') return answerQuery(engine, body, headers['x-transaction-id']);
  return null;
}

function serve(engine) {
  const server = http.createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString('utf8');
    let status = 200;
    let result;
    try {
      result = await answer(engine, request, body);
      if (result === null) status = 404;
    } catch (error) {
      say(`${error?.stack ?? error}\n${body.slice(0, 2000)}`);
      status = error instanceof SyntaxError ? 422 : 500;
      result = { errors: [{ error: String(error), user_facing_error: { is_panic: true, message: String(error) } }] };
    }
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(result));
  });
  server.keepAliveTimeout = 75_000;
  server.listen(Number(process.argv[process.argv.indexOf('-p') + 1]), '127.0.0.1');
}

// A proxy that is killed leaves nothing behind.
const parent = process.ppid;
setInterval(() => process.ppid === parent || process.exit(0), PARENT_MILLISECONDS).unref();
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0));

startEngine().then(serve, (error) => {
  const known = database.known(error) ?? { error_code: 'P1000', message: String(error?.message ?? error), meta: null };
  process.stderr.write(`${JSON.stringify({ is_panic: false, ...known })}\n`);
  process.exit(1);
});
