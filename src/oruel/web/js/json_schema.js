/** The text of a JSON Schema, as it is typed: the schema, or the mistake in words. */

import { isObject, parseJson } from "./json.js";

/** @typedef {Record<string, unknown>} Schema */
/** @typedef {{schema: Schema, message: null} | {schema: null, message: string}} Read */

const NAME = /^[a-zA-Z0-9_-]{1,64}$/;

/**
 * Why a schema or a function can't be called `name`; null if it can.
 * @param {string} name
 */
export function problemOfName(name) {
  if (NAME.test(name)) return null;
  return name ? "A name is 1 to 64 letters, digits, _ or -." : "A name is missing.";
}

/**
 * @param {string} text
 * @returns {Read}
 */
export function readSchema(text) {
  if (!text.trim()) return { schema: null, message: "Paste a JSON Schema, or choose an example." };
  const { value, mistake } = parseJson(text);
  if (mistake) return { schema: null, message: `Line ${mistake.line}: ${mistake.message}` };
  if (!isObject(value)) return { schema: null, message: 'A schema is a JSON object, such as {"type": "object"}.' };
  return { schema: value, message: null };
}

/**
 * As `readSchema`, for the arguments of a function, which are always an object.
 * @param {string} text
 * @returns {Read}
 */
export function readParameters(text) {
  const read = readSchema(text);
  if (read.schema === null || (read.schema.type ?? "object") === "object") return read;
  return { schema: null, message: 'The type of the parameters must be "object", since arguments are named.' };
}

/**
 * What the schema describes, in a few words.
 * @param {Schema} schema
 */
export function summary({ type, properties, enum: values }) {
  if (Array.isArray(values)) return `One of ${values.length} values`;
  const names = isObject(properties) ? Object.keys(properties) : [];
  if (names.length === 0) return `Valid JSON${typeof type === "string" ? `, type ${type}` : ""}`;
  const shown = names.slice(0, 4).join(", ");
  return `An object with ${names.length > 4 ? `${shown} and ${names.length - 4} more` : shown}`;
}

/**
 * The text of a schema, in the fields' layout.
 * @param {unknown} schema
 */
export function written(schema) {
  return JSON.stringify(schema, null, 2);
}
