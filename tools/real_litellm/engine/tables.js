'use strict';
// Prints the SQL that makes the tables of a schema.prisma, as `prisma migrate diff --from-empty` does, from Prisma's
// schema engine in WebAssembly: node tables.js schema.prisma

const fs = require('node:fs');
const path = require('node:path');
const { pathToFileURL } = require('node:url');

const FOLDER = path.join(process.env.STAND_IN_MODULES, '@prisma/schema-engine-wasm');

/** An adapter that answers nothing: comparing two schemas needs no database, but the engine wants to know one. */
function noDatabase() {
  const ok = (value) => ({ ok: true, value, map: (change) => ok(change(value)), flatMap: (change) => change(value) });
  const common = { provider: 'postgres', adapterName: 'none' };
  const connect = async () =>
    ok({
      ...common,
      queryRaw: async () => ok({ columnNames: [], columnTypes: [], rows: [] }),
      executeRaw: async () => ok(0),
      executeScript: async () => ok(undefined),
      dispose: async () => ok(undefined),
      getConnectionInfo: () => ok({ schemaName: 'public', supportsRelationJoins: true }),
    });
  return { ...common, connect, connectToShadowDb: connect, errorRegistry: {} };
}

async function print(file) {
  const bindings = await import(pathToFileURL(path.join(FOLDER, 'schema_engine_bg.js')));
  const code = new WebAssembly.Module(fs.readFileSync(path.join(FOLDER, 'schema_engine_bg.wasm')));
  const instance = new WebAssembly.Instance(code, { './schema_engine_bg.js': bindings });
  bindings.__wbg_set_wasm(instance.exports);
  instance.exports.__wbindgen_start?.();
  const content = fs.readFileSync(file, 'utf8').replace(/^generator\s+\w+\s*\{[^}]*\}/m, '');
  const engine = await bindings.SchemaEngine.new({ datamodels: [['schema.prisma', content]] }, () => {}, noDatabase());
  const { stdout } = await engine.diff({
    from: { tag: 'empty' },
    to: { tag: 'schemaDatamodel', files: [{ path: 'schema.prisma', content }], configDir: '.' },
    shadowDatabaseUrl: null,
    script: true,
    exitCode: null,
    filters: { externalTables: [], externalEnums: [] },
  });
  process.stdout.write(stdout);
}

print(process.argv[2]).catch((error) => {
  process.stderr.write(`${error?.stack ?? error}\n`);
  process.exit(1);
});
