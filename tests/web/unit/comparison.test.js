import assert from "node:assert/strict";
import { test } from "node:test";

import { compared, differing, requestOf, sampling, tries } from "../../../src/oruel/web/js/comparison_request.js";

/** @typedef {import("../../../src/oruel/web/js/controls.js").Declaration} Declaration */

/** @param {string} name @param {unknown} standard @param {string | null} [note] @returns {Declaration} */
const declared = (name, standard, note = null) => ({
  name,
  group: "Sampling",
  summary: "",
  allowed: "a number",
  schema: { type: "number" },
  default: standard,
  default_note: note,
  details: [],
  served: true,
});

const declarations = [
  declared("temperature", 0.7),
  declared("top_k", null, "no limit"),
  declared("seed", null, "random"),
  { ...declared("min_p", null), served: false },
];

test("each side sets the sampling parameters that the server serves", () => {
  assert.deepEqual(compared(declarations).map(({ name }) => name), ["temperature", "top_k"]);
});

test("both requests have the same prompt and seed, one choice, a stream and the trace", () => {
  const request = { messages: ["…"], temperature: 1, seed: 3, n: 4, tools: [], stream: false };
  assert.deepEqual(requestOf(request, { values: { top_k: 2 }, seed: 9, context: 4096 }), {
    messages: ["…"], tools: [], trace: { top: 20 }, top_k: 2, seed: 9, stream: true,
  });
  assert.deepEqual(sampling(request), { temperature: 1 });
});

test("the trace is as long as the API allows", () => {
  const trace = (/** @type {number} */ context, request = {}) => requestOf(request, { values: {}, seed: 1, context }).trace;
  assert.deepEqual(trace(131_072), { top: 2 });
  assert.deepEqual(trace(131_072, { max_tokens: 100, n: 8 }), { top: 20 });
  assert.equal(trace(1_000_000), undefined);
});

test("the parameters that differ are shown with their defaults, and equal ones aren't", () => {
  assert.deepEqual(differing(declarations, {}, { top_k: 5 }), [{ name: "top_k", a: "no limit", b: "5" }]);
  assert.deepEqual(differing(declarations, { temperature: 0.7 }, {}), []);
});

test("a suggestion changes one parameter, and none suggests what A already has", () => {
  const suggested = tries(declarations, { temperature: 0 });
  assert.deepEqual(suggested, [
    { label: "temperature 1.5", values: { temperature: 1.5 } },
    { label: "top_k 3", values: { temperature: 0, top_k: 3 } },
  ]);
});
