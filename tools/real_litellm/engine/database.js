'use strict';
// The engine's way to PostgreSQL: a pool of node-postgres, and errors as Prisma's executable words them.

const os = require('node:os');
const path = require('node:path');

const load = (name) => require(path.join(process.env.STAND_IN_MODULES, name));
const { Pool, types } = load('pg');
const { PrismaPg } = load('@prisma/adapter-pg');
const { bindAdapter } = load('@prisma/driver-adapter-utils');

// Object ids of PostgreSQL's types.
const NAME = 19;
const TEXT = 25;
const NAMES = 1003;
const TEXTS = 1009;

const UNREACHABLE = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EHOSTUNREACH', 'ENETUNREACH', 'EAI_AGAIN', 'ETIMEDOUT']);
const CUT_OFF = new Set(['ECONNRESET', 'EPIPE']);

/** The database that DATABASE_URL names, or the client's own choice of another one. */
class Database {
  constructor() {
    const chosen = process.env.OVERWRITE_DATASOURCES;
    const url = new URL(chosen ? JSON.parse(chosen)[0].url : process.env.DATABASE_URL);
    this.host = url.hostname;
    this.port = Number(url.port || 5432);
    this.poolSeconds = Number(url.searchParams.get('pool_timeout') ?? 10);
    this.pool = new Pool({
      host: this.host,
      port: this.port,
      user: decodeURIComponent(url.username),
      password: decodeURIComponent(url.password),
      database: url.pathname.slice(1),
      max: Number(url.searchParams.get('connection_limit') ?? os.cpus().length * 2 + 1),
      connectionTimeoutMillis: 1000 * this.poolSeconds,
      options: '-c TimeZone=UTC',
      keepAlive: true,
    });
    this.pool.on('error', () => {}); // an idle connection has ended: the pool has dropped it already
    this.adapter = bindAdapter(new PrismaPg(this.pool, { schema: url.searchParams.get('schema') ?? undefined }));
  }

  /** Fails unless the server can be reached, as the executable does when it starts. */
  async probe() {
    (await this.pool.connect()).release();
  }

  /** Returns Prisma's error for one of node-postgres, or null if it has none. */
  known(error) {
    const message = String(error?.message ?? error);
    const server = `\`${this.host}:${this.port}\``;
    if (UNREACHABLE.has(error?.code) || /due to connection timeout/.test(message)) {
      return {
        error_code: 'P1001',
        message: `Can't reach database server at ${server}\n\nPlease make sure your database server is running at ${server}.`,
        meta: { database_host: this.host, database_port: this.port },
      };
    }
    if (/timeout exceeded when trying to connect/.test(message)) {
      const limits = { connection_limit: this.pool.options.max, timeout: this.poolSeconds };
      return {
        error_code: 'P2024',
        message:
          'Timed out fetching a new connection from the connection pool. More info: http://pris.ly/d/connection-pool ' +
          `(Current connection pool timeout: ${limits.timeout}, connection limit: ${limits.connection_limit})`,
        meta: limits,
      };
    }
    if (CUT_OFF.has(error?.code) || /Connection terminated|not queryable/.test(message)) {
      return { error_code: 'P1017', message: 'Server has closed the connection.', meta: null };
    }
    return null;
  }

  /** Takes the error that an answer of the engine refers to out of the adapter's registry. */
  taken(id) {
    const registry = this.adapter.errorRegistry;
    const { error } = registry.consumeError(id) ?? {};
    registry.registeredErrors[id] = undefined;
    return error;
  }
}

// The adapter cannot read PostgreSQL's type for the names of its catalog, which LiteLLM selects; as text it can.
const prototype = Object.getPrototypeOf(PrismaPg.prototype);
const { performIO } = prototype;
prototype.performIO = async function withNamesAsText(query) {
  const result = await performIO.call(this, query);
  if (!result.ok) return result;
  result.value.fields?.forEach((field, at) => {
    if (field.dataTypeID === NAME) field.dataTypeID = TEXT;
    if (field.dataTypeID === NAMES) {
      field.dataTypeID = TEXTS;
      const parse = types.getTypeParser(TEXTS);
      for (const row of result.value.rows) if (typeof row[at] === 'string') row[at] = parse(row[at]);
    }
  });
  return result;
};

module.exports = { Database, load };
