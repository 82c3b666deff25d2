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
  const request = { messages: ["…"], temperature: 1, seed: 3, n: 4, tools: [], stream: false, trace: { top: 5 } };
  assert.deepEqual(requestOf(request, { top_k: 2 }, 9), {
    messages: ["…"], tools: [], trace: { top: 5 }, top_k: 2, seed: 9, stream: true,
  });
  assert.deepEqual(requestOf({}, {}, 1).trace, { top: 20 });
  assert.deepEqual(sampling(request), { temperature: 1 });
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
