'use strict';
// From the GraphQL text that prisma-client-py's query builder writes to the JSON protocol that the WebAssembly engine
// speaks, and back.
//
// Two things are more than another notation. Numbers keep the digits that they were written with: values are copied as
// text, never parsed. And the value of a field of type Json is, in GraphQL, a string that holds JSON; in the JSON
// protocol such a string has to be marked as Json, or the engine would store a JSON string. So the translation follows
// the types of the schema through the arguments.

const OPERATIONS = [
  'findUnique',
  'findFirst',
  'findMany',
  'createOne',
  'createMany',
  'updateOne',
  'updateMany',
  'deleteOne',
  'deleteMany',
  'upsertOne',
  'aggregate',
  'groupBy',
];
const RAW = new Set(['queryRaw', 'executeRaw']);

// Arguments whose objects have the fields of the model as keys.
const ARGUMENTS_OF_FIELDS = new Set(['where', 'data', 'create', 'update', 'cursor', 'having']);
// Keys below a Json field that hold JSON themselves; the others are plain: `path`, `string_contains` …
const KEYS_OF_JSON = new Set([
  'equals',
  'not',
  'set',
  'array_contains',
  'array_starts_with',
  'array_ends_with',
  'lt',
  'lte',
  'gt',
  'gte',
]);

const TOKEN = /[\s,]+|"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|[A-Za-z_]\w*|[{}()[\]:]/gy;

/** Returns the tokens of a document; white space and commas are none. */
function tokenize(text) {
  const found = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const at = TOKEN.lastIndex;
    const match = TOKEN.exec(text);
    if (match === null) throw new SyntaxError(`no token of GraphQL at ${at}: ${text.slice(at, at + 40)}`);
    if (!/^[\s,]/.test(match[0])) found.push(match[0]);
  }
  return found;
}

/** Returns the types of all fields of a schema.prisma: {model: {field: type}}, without `[]` and `?`. */
function fieldTypes(schema) {
  const types = {};
  for (const [, model, body] of schema.matchAll(/^model\s+(\w+)\s*\{([^]*?)^\}/gm)) {
    const fields = [...body.matchAll(/^[ \t]+(\w+)[ \t]+(\w+)/gm)];
    types[model] = Object.fromEntries(fields.map(([, field, type]) => [field, type]));
  }
  return types;
}

/** Splits `findUniqueUserOrThrow` into the operation (`findUniqueOrThrow`) and the model (`User`). */
function split(name) {
  const operation = OPERATIONS.find((candidate) => name.startsWith(candidate));
  if (operation === undefined) throw new SyntaxError(`no operation: ${name}`);
  const [, model, raises] = /^(.*?)(OrThrow)?$/.exec(name.slice(operation.length));
  return { operation: operation + (raises ?? ''), model };
}

/** Reads one document; every method that reads a value returns it as JSON text. */
class Reader {
  constructor(text, types) {
    this.tokens = tokenize(text);
    this.types = types;
    this.at = 0;
  }

  peek() {
    return this.tokens[this.at];
  }

  take(expected) {
    const token = this.tokens[this.at++];
    if (token === undefined) throw new SyntaxError('the document ends too early');
    if (expected !== undefined && token !== expected) throw new SyntaxError(`${token} instead of ${expected}`);
    return token;
  }

  takeIf(token) {
    if (this.peek() !== token) return false;
    this.at += 1;
    return true;
  }

  /** Reads `query { result: findManyUser(…) {…} }`. */
  document() {
    this.take(); // query or mutation
    this.take('{');
    let name = this.take();
    let alias = name;
    if (this.takeIf(':')) name = this.take();
    const raw = RAW.has(name);
    const { operation, model } = raw ? { operation: name } : split(name);
    const query = { alias, raw, operation, model, ...this.argumentsAndSelection(model) };
    this.take('}');
    if (this.peek() !== undefined) throw new SyntaxError(`${this.peek()} after the end of the document`);
    return query;
  }

  argumentsAndSelection(model) {
    const given = this.peek() === '(' ? this.object('(', ')', (key) => (ARGUMENTS_OF_FIELDS.has(key) ? model : '')) : '{}';
    const selection = this.peek() === '{' ? this.selection(model) : '{}';
    return { given, selection };
  }

  selection(model) {
    const parts = [];
    this.take('{');
    while (!this.takeIf('}')) {
      const field = this.take();
      const isPlain = this.peek() !== '(' && this.peek() !== '{';
      const { given, selection } = this.argumentsAndSelection(this.types[model]?.[field]);
      parts.push(`"${field}":${isPlain ? 'true' : `{"arguments":${given},"selection":${selection}}`}`);
    }
    return `{${parts.join(',')}}`;
  }

  /** Reads `{key: value …}`; `typeOf` tells the type of a key's value: a model, a scalar type, or ''. */
  object(open, close, typeOf) {
    const parts = [];
    this.take(open);
    while (!this.takeIf(close)) {
      const key = this.take();
      this.take(':');
      parts.push(`${key.startsWith('"') ? key : `"${key}"`}:${this.value(typeOf(key))}`);
    }
    return `{${parts.join(',')}}`;
  }

  value(type) {
    if (this.peek() === '{') {
      if (type === 'Json') return this.object('{', '}', (key) => (KEYS_OF_JSON.has(key) ? 'Json' : ''));
      const fields = this.types[type];
      // A key that is no field (AND, some, is, connect, create …) speaks of the same model.
      return this.object('{', '}', (key) => (fields === undefined ? '' : (fields[key] ?? type)));
    }
    if (this.takeIf('[')) {
      const items = [];
      while (!this.takeIf(']')) items.push(this.value(type));
      return `[${items.join(',')}]`;
    }
    const token = this.take();
    if (token.startsWith('"')) return type === 'Json' ? `{"$type":"Json","value":${token}}` : token;
    if (/^(?:-?\d|(?:true|false|null)$)/.test(token)) return token;
    if (/^\w+$/.test(token)) return `"${token}"`; // an enumerator
    throw new SyntaxError(`${token} is no value`);
  }
}

/** Translates a document; returns the name of its result, whether its SQL is the caller's own, and the request. */
function translate(text, types) {
  const { alias, raw, operation, model, given, selection } = new Reader(text, types).document();
  const ofModel = raw ? '' : `"modelName":"${model}",`;
  return { alias, raw, body: `{${ofModel}"action":"${operation}","query":{"arguments":${given},"selection":${selection}}}` };
}

/** Returns a value of the JSON protocol as GraphQL has it, without the marks of types. */
function unmark(value) {
  if (Array.isArray(value)) return value.map(unmark);
  if (value === null || typeof value !== 'object') return value;
  if (typeof value.$type === 'string' && 'value' in value) return value.value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, unmark(item)]));
}

module.exports = { fieldTypes, translate, unmark };
