/** response_format as the page edits it: texts that may be incomplete, and the field that they stand for. */

import { isObject } from "./json.js";
import { problemOfName, readSchema, written } from "./json_schema.js";

/** @typedef {"text" | "json_object" | "json_schema"} FormatType */
/** @typedef {{type: FormatType, name: string, description: string, schema: string, strict: boolean}} FormatDraft */
/** @typedef {{param: string, message: string}} Problem  `param` is the path of the request's field. */

/** @type {readonly FormatType[]} */
export const FORMAT_TYPES = ["text", "json_object", "json_schema"];
const SCHEMA_PATH = "response_format.json_schema";

/** @returns {FormatDraft} */
export function emptyFormat() {
  return { type: "text", name: "answer", description: "", schema: "", strict: true };
}

/**
 * @param {FormatDraft} draft
 * @returns {Problem[]}
 */
export function formatProblems({ type, name, schema }) {
  if (type !== "json_schema") return [];
  const { message } = readSchema(schema);
  const nameProblem = problemOfName(name);
  return [
    ...(message ? [{ param: `${SCHEMA_PATH}.schema`, message }] : []),
    ...(nameProblem ? [{ param: `${SCHEMA_PATH}.name`, message: nameProblem }] : []),
  ];
}

/**
 * The field of the request; undefined for text, which is the default, and for a draft with problems.
 * @param {FormatDraft} draft
 */
export function formatField(draft) {
  const { type, name, description, schema, strict } = draft;
  if (type === "text" || formatProblems(draft).length > 0) return undefined;
  if (type === "json_object") return { type };
  const described = description ? { description } : {};
  return { type, json_schema: { name, ...described, schema: readSchema(schema).schema, strict } };
}

/**
 * The draft of a request's field. What isn't valid in it becomes the default.
 * @param {unknown} field
 * @returns {FormatDraft}
 */
export function formatDraft(field) {
  const draft = emptyFormat();
  if (!isObject(field)) return draft;
  draft.type = FORMAT_TYPES.find((type) => type === field.type) ?? "text";
  if (draft.type !== "json_schema" || !isObject(field.json_schema)) return draft;
  const { name, description, schema, strict } = field.json_schema;
  return {
    type: draft.type,
    name: typeof name === "string" ? name : draft.name,
    description: typeof description === "string" ? description : "",
    schema: schema === undefined ? "" : written(schema),
    strict: strict === true,
  };
}
