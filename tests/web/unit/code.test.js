/** The samples are the request: JSON in curl, the official client in Python, fetch in JavaScript. */

import assert from "node:assert/strict";
import test from "node:test";

import { pythonLiteral, sample } from "../../../src/oruel/web/js/code.js";

const SERVER = { origin: "http://127.0.0.1:8000", needsKey: false };
const BODY = {
  model: "m",
  messages: [{ role: "user", content: "It's \"5\" o'clock\n— or 17:00 🙂" }],
  temperature: 0.9,
  stop: ["\n"],
  top_k: 40,
  parallel_tool_calls: false,
  logit_bias: { 342: -5 },
};

test("curl sends the body, with quotes escaped for the shell", () => {
  const written = sample("curl", BODY, SERVER);
  const json = /-d '(?<json>[^]*)'$/.exec(written)?.groups?.json.replaceAll("'\\''", "'");
  assert.deepEqual(JSON.parse(json ?? ""), BODY);
  assert.ok(written.startsWith("curl http://127.0.0.1:8000/v1/chat/completions"));
});

test("the JavaScript sample runs, and sends the body", async () => {
  /** @type {any[]} */
  const sent = [];
  const fetch = async (/** @type {string} */ url, /** @type {any} */ options) => {
    sent.push([url, options.method, JSON.parse(options.body)]);
    return { ok: true, json: async () => ({ choices: [{ message: { content: "" } }] }) };
  };
  const AsyncFunction = Object.getPrototypeOf(async () => {}).constructor;
  await new AsyncFunction("fetch", "console", sample("JavaScript", BODY, SERVER))(fetch, { log: () => {} });
  assert.deepEqual(sent, [["http://127.0.0.1:8000/v1/chat/completions", "POST", BODY]]);
});

test("Python passes what the official client lacks in extra_body", () => {
  const written = sample("Python", BODY, SERVER);
  assert.match(written, /^ {4}temperature=0\.9,$/m);
  assert.match(written, /^ {4}parallel_tool_calls=False,$/m);
  assert.match(written, /^ {4}extra_body=\{"top_k": 40\},$/m);
});

test("a key is read from the environment, never written", () => {
  for (const language of /** @type {const} */ (["curl", "Python", "JavaScript"])) {
    assert.match(sample(language, BODY, { ...SERVER, needsKey: true }), /ORUEL_API_KEY/);
    assert.doesNotMatch(sample(language, BODY, SERVER), /ORUEL_API_KEY/);
  }
});

test("values become Python's literals", () => {
  assert.equal(pythonLiteral({ a: null, b: [true, 0.5], c: "x" }), '{"a": None, "b": [True, 0.5], "c": "x"}');
  const long = pythonLiteral(["a".repeat(50), "b".repeat(50)]);
  assert.equal(long, `[\n    "${"a".repeat(50)}",\n    "${"b".repeat(50)}",\n]`);
});
