/** What the page shows for a token under other settings. The server's own mathematics is the oracle in test_mathematics.py. */

import assert from "node:assert/strict";
import test from "node:test";

import { redistribute } from "../../../src/oruel/web/js/sampling.js";
import { recorded, surprise } from "../../../src/oruel/web/js/token_trace.js";

/** @typedef {import("../../../src/oruel/web/js/sampling.js").TokenTrace} TokenTrace */
/** @typedef {import("../../../src/oruel/web/js/sampling.js").Settings} Settings */

/** @type {Settings} */
const NEUTRAL = {
  temperature: 1,
  top_k: 0,
  top_p: 1,
  min_p: 0,
  frequency_penalty: 0,
  presence_penalty: 0,
  repetition_penalty: 1,
};

/**
 * A trace that lists its whole vocabulary: the logarithms of the probabilities as logits.
 * @param {number[]} probabilities
 * @param {Partial<TokenTrace>} [changes]
 * @returns {TokenTrace}
 */
function traceOf(probabilities, changes = {}) {
  return {
    id: 0,
    token: "a",
    bytes: [97],
    source: "drawn",
    vocabulary_size: 1000,
    steps: [],
    candidates: probabilities.map((probability, id) => ({
      id,
      token: "abcdef"[id],
      bytes: [97 + id],
      logit: Math.log(probability),
      bias: 0,
      count: 0,
      probability,
      after: [],
      removed_by: null,
    })),
    survivors: { count: probabilities.length, mass: 1 },
    allowed: { count: probabilities.length, mass: 1 },
    rest: null,
    draw: { u: 0.3, low: 0, high: probabilities[0] },
    entropy: { before: 1, after: 1 },
    ...changes,
  };
}

/**
 * @param {TokenTrace} trace
 * @param {Partial<Settings>} settings
 */
function finals(trace, settings) {
  const { candidates } = redistribute(trace, { ...NEUTRAL, ...settings });
  return candidates.map(({ after, probability }) => after.at(-1) ?? probability);
}

/**
 * @param {number[]} actual
 * @param {number[]} expected
 */
function near(actual, expected) {
  assert.equal(actual.length, expected.length);
  actual.forEach((value, place) => assert.ok(Math.abs(value - expected[place]) < 1e-12, `${actual} ≠ ${expected}`));
}

test("neutral settings leave the model's own distribution", () => {
  const distribution = redistribute(traceOf([0.5, 0.3, 0.2]), NEUTRAL);
  assert.deepEqual(distribution.steps, []);
  assert.deepEqual(distribution.survivors.count, 3);
  assert.equal(distribution.chosenId, 0);
});

test("temperature ½ squares the probabilities", () => {
  near(finals(traceOf([0.5, 0.3, 0.2]), { temperature: 0.5 }), [0.25 / 0.38, 0.09 / 0.38, 0.04 / 0.38]);
});

test("temperature 0 leaves the most probable token, the one with the lower id among equals", () => {
  near(finals(traceOf([0.2, 0.4, 0.4]), { temperature: 0, top_p: 0.5 }), [0, 1, 0]);
});

test("the smallest temperature doesn't overflow", () => {
  near(finals(traceOf([0.2, 0.5, 0.3]), { temperature: Number.MIN_VALUE }), [0, 1, 0]);
});

test("top_k removes tokens and says so", () => {
  const { candidates, steps } = redistribute(traceOf([0.5, 0.3, 0.2]), { ...NEUTRAL, top_k: 2 });
  assert.deepEqual(steps, ["top_k"]);
  assert.deepEqual(candidates.map(({ removedBy }) => removedBy), [null, null, "top_k"]);
});

test("top_p keeps the smallest set that exceeds it, within what top_k kept", () => {
  near(finals(traceOf([0.5, 0.25, 0.25]), { top_p: 0.5 }), [2 / 3, 1 / 3, 0]);
  near(finals(traceOf([0.4, 0.3, 0.2, 0.1]), { top_k: 2, top_p: 0.5 }), [1, 0, 0, 0]);
});

test("min_p is relative to the most probable token", () => {
  near(finals(traceOf([0.5, 0.3, 0.2]), { min_p: 0.5 }), [0.625, 0.375, 0]);
});

test("penalties change only tokens that have appeared", () => {
  const trace = traceOf([0.5, 0.5]);
  trace.candidates[0].count = 2;
  const factor = Math.exp(-2 * 0.5 - 0.25);
  const settings = { frequency_penalty: 0.5, presence_penalty: 0.25 };
  near(finals(trace, settings), [factor / (factor + 1), 1 / (factor + 1)]);
  near(finals(trace, { repetition_penalty: 2 }), [1 / 3, 2 / 3]);
});

test("what the mask excludes stays excluded, and a bias stays", () => {
  const trace = traceOf([0.5, 0.3, 0.2], { steps: ["mask", "logit_bias"] });
  trace.candidates[0].removed_by = "mask";
  trace.candidates[2].bias = Math.log(2);
  near(finals(trace, {}), [0, 3 / 7, 4 / 7]);
});

test("a mask that allows only what the model rules out leaves the generated token", () => {
  const trace = traceOf([0.5, 0.5], { steps: ["mask"], id: 1 });
  trace.candidates[0].removed_by = "mask";
  trace.candidates[1].logit = null;
  near(finals(trace, { temperature: 0.5 }), [0, 1]);
});

test("the draw selects by intervals in the order of ids", () => {
  const trace = traceOf([0.2, 0.5, 0.3], { draw: { u: 0.71, low: 0.7, high: 1 }, id: 2 });
  assert.equal(redistribute(trace, NEUTRAL).chosenId, 2);
  assert.equal(redistribute(trace, { ...NEUTRAL, top_k: 2 }).chosenId, 2);
  assert.equal(redistribute(trace, { ...NEUTRAL, temperature: 0.5 }).chosenId, 1);
});

test("the choice is unknown where unlisted tokens could have been drawn", () => {
  const candidates = traceOf([0.3, 0.3]).candidates;
  const rest = { low: -4, high: -2, counts: [0, 8], masses: [0, 0.4] };
  const trace = traceOf([], { candidates, rest, id: 0, draw: { u: 0.05, low: 0, high: 0.3 } });
  assert.equal(redistribute(trace, NEUTRAL).chosenId, 0);
  assert.equal(redistribute(trace, { ...NEUTRAL, temperature: 0.5 }).chosenId, null);
  assert.equal(redistribute(trace, { ...NEUTRAL, top_k: 1 }).chosenId, 0);
});

test("top_k and top_p may cut among the unlisted tokens", () => {
  const candidates = traceOf([0.3, 0.3]).candidates;
  const logit = Math.log(0.05);
  const rest = { low: logit, high: logit, counts: [8], masses: [0.4] };
  const trace = traceOf([], { candidates, rest, allowed: { count: 10, mass: 1 } });
  assert.equal(redistribute(trace, { ...NEUTRAL, top_k: 6 }).survivors.count, 6);
  near(finals(trace, { top_k: 6 }), [0.375, 0.375]);
  const { survivors, unlisted, entropy } = redistribute(trace, { ...NEUTRAL, top_p: 0.68 });
  assert.equal(survivors.count, 4);
  near([survivors.mass, unlisted[0]], [0.7, 0.1 / 0.7]);
  near([entropy.after], [-(2 * (0.3 / 0.7) * Math.log2(0.3 / 0.7) + 2 * (0.05 / 0.7) * Math.log2(0.05 / 0.7))]);
});

test("what a step did to unlisted tokens in the trace, it does again", () => {
  const candidates = traceOf([0.3, 0.3]).candidates.map((candidate) => ({ ...candidate, after: [0.25] }));
  const rest = { low: Math.log(0.05), high: Math.log(0.05), counts: [8], masses: [0.4] };
  const trace = traceOf([], { candidates, rest, steps: ["logit_bias"], allowed: { count: 10, mass: 1 } });
  near(redistribute(trace, NEUTRAL).unlisted, [0.5]);
  near(finals(trace, { temperature: 0.5 }), [0.25 ** 2, 0.25 ** 2].map((weight) => weight / (2 * 0.25 ** 2 + 8 * 0.0625 ** 2)));
});

test("forced tokens don't depend on settings", () => {
  assert.equal(redistribute(traceOf([0.5, 0.5], { source: "forced", draw: null, id: 1 }), NEUTRAL).chosenId, 1);
});

test("surprise is measured in bits of the model's probability", () => {
  assert.equal(surprise(traceOf([0.25, 0.75])), 2);
});

test("the recorded distribution is the trace's own", () => {
  const trace = traceOf([0.5, 0.3], { steps: ["top_p"] });
  trace.candidates[0].after = [1];
  trace.candidates[1].after = [0];
  trace.candidates[1].removed_by = "top_p";
  const { candidates, unlisted, chosenId } = recorded(trace);
  assert.deepEqual(candidates.map(({ removedBy }) => removedBy), [null, "top_p"]);
  assert.deepEqual(unlisted, [0]);
  assert.equal(chosenId, 0);
});
