/** A link gives back what it was made from. */

import assert from "node:assert/strict";
import test from "node:test";

import { decode, encode } from "../../../src/oruel/web/js/address.js";

const SHARED = [
  { values: {} },
  { prompt: "Tell me a joke.", values: { temperature: 0.9, seed: 7 } },
  { model: "m", system: "Be & = + # brief.", prompt: "50% of 7 + 8?\nünï 🙂", values: { top_p: 0 } },
  {
    prompt: "5",
    system: "[1]",
    values: { tier: "turbo", stop: ["\n\n", "5"], logit_bias: { 342: -5 }, logprobs: true },
  },
  { values: { stop: "5", tool_choice: "null", response_format: { type: "json_object" } } },
  {
    messages: [
      { role: "user", content: "a" },
      { role: "assistant", content: null },
    ],
    values: {},
  },
];

for (const [index, shared] of SHARED.entries()) {
  test(`a link reproduces state ${index + 1}`, () => {
    assert.deepEqual(decode(encode(shared)), { ...shared, problems: [] });
  });
}

test("a link can be written by hand", () => {
  const { prompt, values } = decode("#prompt=Tell+me+a%20joke.&temperature=0.9&stop=END&tier=turbo");
  assert.equal(prompt, "Tell me a joke.");
  assert.deepEqual(values, { temperature: 0.9, stop: "END", tier: "turbo" });
});

test("messages that aren't any are named, and the rest is read", () => {
  for (const text of ["5", "[1]", "[null]", "nonsense", '[{"content": "no role"}]']) {
    const { messages, values, problems } = decode(`#messages=${encodeURIComponent(text)}&seed=7`);
    assert.equal(messages, undefined);
    assert.deepEqual(values, { seed: 7 });
    assert.equal(problems.length, 1);
  }
});

test("a field named like a property of objects is only a field", () => {
  const { values } = decode("#__proto__=1&constructor=2");
  assert.equal(Object.getPrototypeOf(values), Object.prototype);
  assert.deepEqual(Object.keys(values), ["__proto__", "constructor"]);
});
