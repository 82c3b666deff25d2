/** What a link carries: the prompt or the turns, the system prompt, the model and the parameters. Pure. */

/** @typedef {Record<string, unknown>} Values */
/** @typedef {{role: string, content?: unknown}} Message */

/**
 * @typedef {object} Shared
 * @property {string} [model]
 * @property {string} [system]
 * @property {string} [prompt] a single turn, not answered yet
 * @property {Message[]} [messages] several turns
 * @property {Values} values
 */

/** Fields that are text even if they look like JSON. */
const TEXTS = /** @type {const} */ (["model", "system", "prompt"]);
/** Browsers and chats cut longer links. */
export const LONGEST = 16_000;

/**
 * @param {Shared} shared
 * @returns {string} a fragment, with its #; "" if there is nothing to share
 */
export function encode(shared) {
  const fields = new URLSearchParams();
  for (const name of TEXTS) if (shared[name]) fields.set(name, shared[name]);
  if (shared.messages?.length) fields.set("messages", JSON.stringify(shared.messages));
  for (const [name, value] of Object.entries(shared.values)) fields.set(name, written(value));
  const text = fields.toString();
  return text ? `#${text}` : "";
}

/**
 * Reads a fragment. What can't be read is left out, and named in `problems`.
 * @param {string} fragment with or without its #
 * @returns {Shared & {problems: string[]}}
 */
export function decode(fragment) {
  const fields = new URLSearchParams(fragment.replace(/^#/, ""));
  /** @type {Shared & {problems: string[]}} */
  const shared = { values: {}, problems: [] };
  /** @type {[string, unknown][]} */
  const values = [];
  for (const [name, text] of fields) {
    if (isText(name)) shared[name] = text;
    else if (name !== "messages") values.push([name, read(text)]);
    else if (isMessages(read(text))) shared.messages = /** @type {Message[]} */ (read(text));
    else shared.problems.push("The messages in the link are not a list of messages.");
  }
  // Unlike an assignment, fromEntries takes a name such as __proto__ for a name.
  return { ...shared, values: Object.fromEntries(values) };
}

/**
 * @param {string} name
 * @returns {name is typeof TEXTS[number]}
 */
function isText(name) {
  return TEXTS.some((text) => text === name);
}

/** A string stands as it is, unless it would be read as something else. @param {unknown} value */
function written(value) {
  return typeof value === "string" && read(value) === value ? value : JSON.stringify(value);
}

/** @param {string} text */
function read(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** @param {unknown} value */
function isMessages(value) {
  return (
    Array.isArray(value) &&
    value.every((message) => typeof message === "object" && message !== null && typeof message.role === "string")
  );
}
