/** The request as curl, Python and JavaScript. Pure. */

/** @typedef {Record<string, unknown>} Body a chat request; `model` and `messages` come first */

/** What the method of the official Python client accepts by name. Everything else goes into extra_body. */
const OPENAI_FIELDS = new Set([
  "model",
  "messages",
  "temperature",
  "top_p",
  "seed",
  "max_tokens",
  "max_completion_tokens",
  "stop",
  "frequency_penalty",
  "presence_penalty",
  "response_format",
  "tools",
  "tool_choice",
  "parallel_tool_calls",
  "n",
  "logprobs",
  "top_logprobs",
  "logit_bias",
]);

export const LANGUAGES = /** @type {const} */ (["curl", "Python", "JavaScript"]);

/**
 * @param {typeof LANGUAGES[number]} language
 * @param {Body} body
 * @param {{origin: string, needsKey: boolean}} server
 */
export function sample(language, body, server) {
  return { curl, Python: python, JavaScript: javascript }[language](body, server);
}

/**
 * @param {Body} body
 * @param {{origin: string, needsKey: boolean}} server
 */
function curl(body, { origin, needsKey }) {
  const json = JSON.stringify(body, null, 2).replaceAll("'", "'\\''");
  return [
    `curl ${origin}/v1/chat/completions \\`,
    "  -H 'Content-Type: application/json' \\",
    ...(needsKey ? ['  -H "Authorization: Bearer $ORUEL_API_KEY" \\'] : []),
    `  -d '${json}'`,
  ].join("\n");
}

/**
 * @param {Body} body
 * @param {{origin: string, needsKey: boolean}} server
 */
function python(body, { origin, needsKey }) {
  const entries = Object.entries(body);
  const named = entries.filter(([name]) => OPENAI_FIELDS.has(name));
  const extra = entries.filter(([name]) => !OPENAI_FIELDS.has(name));
  const lines = named.map(([name, value]) => `    ${name}=${pythonLiteral(value, 4)},`);
  if (extra.length) lines.push(`    extra_body=${pythonLiteral(Object.fromEntries(extra), 4)},`);
  return [
    ...(needsKey ? ["import os", ""] : []),
    "from openai import OpenAI",
    "",
    `client = OpenAI(base_url=${pythonLiteral(`${origin}/v1`)}, api_key=${needsKey ? 'os.environ["ORUEL_API_KEY"]' : '"none"'})`,
    "response = client.chat.completions.create(",
    ...lines,
    ")",
    "print(response.choices[0].message.content)",
  ].join("\n");
}

/**
 * @param {Body} body
 * @param {{origin: string, needsKey: boolean}} server
 */
function javascript(body, { origin, needsKey }) {
  const key = needsKey ? ["    authorization: `Bearer ${process.env.ORUEL_API_KEY}`,"] : [];
  return [
    `const response = await fetch(${JSON.stringify(`${origin}/v1/chat/completions`)}, {`,
    '  method: "POST",',
    "  headers: {",
    '    "content-type": "application/json",',
    ...key,
    "  },",
    `  body: JSON.stringify(${javascriptLiteral(body)}),`,
    "});",
    "const answer = await response.json();",
    "if (!response.ok) throw new Error(answer.error.message);",
    "console.log(answer.choices[0].message.content);",
  ].join("\n");
}

/**
 * JSON is JavaScript, but names without quotes read better.
 * @param {Body} body
 */
function javascriptLiteral(body) {
  return JSON.stringify(body, null, 2)
    .replace(/^( *)"([A-Za-z_]\w*)":/gm, "$1$2:")
    .replaceAll("\n", "\n  ");
}

/**
 * A value as a Python literal: on one line if it is short, otherwise one item a line.
 * @param {unknown} value
 * @param {number} [indent]
 * @returns {string}
 */
export function pythonLiteral(value, indent = 0) {
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  // The escapes of JSON strings are escapes in Python too, except that a pair of surrogates has to be one character.
  if (typeof value !== "object") return JSON.stringify(value);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  const inner = indent + 4;
  const items = Array.isArray(value)
    ? value.map((item) => pythonLiteral(item, inner))
    : Object.entries(value).map(([name, item]) => `${JSON.stringify(name)}: ${pythonLiteral(item, inner)}`);
  const line = `${open}${items.join(", ")}${close}`;
  if (!line.includes("\n") && line.length + indent < 80) return line;
  const pad = " ".repeat(inner);
  return `${open}\n${items.map((item) => `${pad}${item},\n`).join("")}${" ".repeat(indent)}${close}`;
}
