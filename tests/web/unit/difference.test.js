import assert from "node:assert/strict";
import { test } from "node:test";

import { commonLength, firstDifference } from "../../../src/oruel/web/js/difference.js";
import { drawnFrom, intervalsAfter, unlistedBelow } from "../../../src/oruel/web/js/intervals.js";

/**
 * @typedef {import("../../../src/oruel/web/js/token_trace.js").TokenTrace} TokenTrace
 * @typedef {import("../../../src/oruel/web/js/token_trace.js").Step} Step
 * @typedef {{p: number, after?: number[], by?: Step, count?: number, logit?: number}} Listed
 */

const IDS = /** @type {Record<string, number>} */ ({ " moor": 3, " sea": 5, " sky": 8, "": 9 });

/**
 * A trace that lists these tokens. Its logits are those of the probabilities, as if all had the same prompt.
 * @param {string} token
 * @param {Step[]} steps
 * @param {Record<string, Listed>} listed
 * @param {{u?: number, source?: TokenTrace["source"], survivors?: number}} [more]
 * @returns {TokenTrace}
 */
function traceOf(token, steps, listed, { u = 0.5, source = "drawn", survivors } = {}) {
  const candidates = Object.entries(listed).map(([text, { p, after = [], by = null, count = 0, logit }]) => ({
    id: IDS[text],
    token: text,
    bytes: [...new TextEncoder().encode(text)],
    logit: logit ?? Math.log(p) + 20,
    bias: 0,
    count,
    probability: p,
    after,
    removed_by: by,
  }));
  const final = (/** @type {typeof candidates[number]} */ { after, probability }) => after.at(-1) ?? probability;
  const lower = candidates.filter(({ id }) => id < IDS[token]).reduce((sum, candidate) => sum + final(candidate), 0);
  const own = candidates.find(({ id }) => id === IDS[token]);
  return {
    id: IDS[token],
    token,
    bytes: [...new TextEncoder().encode(token)],
    source,
    vocabulary_size: 1000,
    steps,
    candidates,
    survivors: { count: survivors ?? candidates.filter(({ removed_by }) => removed_by === null).length, mass: 1 },
    allowed: { count: 10, mass: 1 },
    rest: null,
    draw: source === "drawn" ? { u, low: lower, high: lower + (own ? final(own) : 0) } : null,
    entropy: { before: 1, after: 1 },
  };
}

const plain = { " moor": { p: 0.2 }, " sea": { p: 0.5 }, " sky": { p: 0.3 } };
const sea = traceOf(" sea", [], plain);

/** @param {TokenTrace} a @param {TokenTrace} b */
const decided = (a, b) => firstDifference([sea, a], [sea, b]);

test("equal answers have no difference", () => {
  assert.equal(firstDifference([sea, sea], [sea, sea]), null);
  assert.equal(firstDifference([], []), null);
});

test("the first difference is found again from where the search stopped", () => {
  const sky = traceOf(" sky", [], plain, { u: 0.8 });
  assert.equal(commonLength([sea, sea, sky], [sea, sea, sea]), 2);
  assert.equal(commonLength([sea, sea, sky], [sea, sea, sea], 2), 2);
  assert.equal(commonLength([sea], [sea, sea], 7), 1);
});

test("a filter removed the token that the other side drew", () => {
  const b = traceOf(
    " sea",
    ["top_p"],
    { " moor": { p: 0.2, after: [0], by: "top_p" }, " sea": { p: 0.5, after: [0.625] }, " sky": { p: 0.3, after: [0.375] } },
    { u: 0.1 },
  );
  assert.deepEqual(decided(traceOf(" moor", [], plain, { u: 0.1 }), b), {
    index: 1,
    decidedBy: "top_p",
    explanation: 'In B, top_p removed " moor", which A drew.',
  });
});

test("a filter removed a token that the trace doesn't list", () => {
  const listed = /** @type {Record<string, Listed>} */ ({ " sea": { p: 0.5, after: [1] }, " sky": { p: 0.3, after: [0], by: "top_k" } });
  const difference = decided(traceOf(" moor", [], plain, { u: 0.1 }), traceOf(" sea", ["top_k"], listed, { u: 0.1 }));
  assert.equal(difference?.explanation, 'In B, top_k removed " moor", which A drew.');
});

test("each side removed the token of the other", () => {
  const a = traceOf(" moor", ["logit_bias", "top_p"], {
    " moor": { p: 0.2, after: [0.9, 1] },
    " sea": { p: 0.5, after: [0.06, 0], by: "top_p" },
    " sky": { p: 0.3, after: [0.04, 0], by: "top_p" },
  });
  const b = traceOf(" sea", ["top_k"], {
    " moor": { p: 0.2, after: [0], by: "top_k" },
    " sea": { p: 0.5, after: [1] },
    " sky": { p: 0.3, after: [0], by: "top_k" },
  });
  assert.equal(
    decided(a, b)?.explanation,
    'In B, top_k removed " moor", which A drew; in A, top_p removed " sea", which B drew.',
  );
});

test("both sides filter, and an earlier step made the token too improbable for one of them", () => {
  const steps = /** @type {Step[]} */ (["temperature", "top_k"]);
  const a = traceOf(
    " sky",
    steps,
    { " moor": { p: 0.2, after: [0.2, 0], by: "top_k" }, " sea": { p: 0.5, after: [0.4, 0.5] }, " sky": { p: 0.3, after: [0.4, 0.5] } },
    { u: 0.6 },
  );
  const b = traceOf(
    " sea",
    steps,
    { " moor": { p: 0.2, after: [0.1, 0], by: "top_k" }, " sea": { p: 0.5, after: [0.7, 1] }, " sky": { p: 0.3, after: [0.2, 0], by: "top_k" } },
    { u: 0.6 },
  );
  assert.equal(
    decided(a, b)?.explanation,
    'In B, top_k removed " sky", which A drew and which temperature had made less probable in B.',
  );
});

test("the mask excluded the token of the other side", () => {
  const b = traceOf(" sea", ["mask"], { ...plain, " moor": { p: 0.2, after: [0], by: "mask" }, " sea": { p: 0.5, after: [1] } });
  const difference = decided(traceOf(" moor", [], plain, { u: 0.1 }), { ...b, candidates: b.candidates.slice(0, 2) });
  assert.equal(difference?.decidedBy, "mask");
  assert.equal(difference?.explanation, 'In B, the mask of the schema or the tools excluded " moor", which A drew.');
});

test("temperature moved the intervals, and no token was removed", () => {
  const a = traceOf(
    " sea",
    ["temperature"],
    { " moor": { p: 0.2, after: [0.1] }, " sea": { p: 0.5, after: [0.7] }, " sky": { p: 0.3, after: [0.2] } },
    { u: 0.3127 },
  );
  const b = traceOf(
    " moor",
    ["temperature"],
    { " moor": { p: 0.2, after: [0.32] }, " sea": { p: 0.5, after: [0.35] }, " sky": { p: 0.3, after: [0.33] } },
    { u: 0.3127 },
  );
  assert.deepEqual(decided(a, b), {
    index: 1,
    decidedBy: "temperature",
    explanation: 'temperature moved the intervals of the draw: u = 0.3127 fell into " sea" in A and into " moor" in B.',
  });
});

test("of several steps, the one decides after which the draw hit another token for good", () => {
  const steps = /** @type {Step[]} */ (["frequency_penalty", "temperature"]);
  const a = traceOf(
    " sea",
    steps,
    { " moor": { p: 0.2, after: [0.2, 0.2] }, " sea": { p: 0.5, after: [0.5, 0.5] }, " sky": { p: 0.3, after: [0.3, 0.3] } },
    { u: 0.6 },
  );
  const penalised = traceOf(
    " sky",
    steps,
    { " moor": { p: 0.2, after: [0.25, 0.27] }, " sea": { p: 0.5, after: [0.3, 0.31] }, " sky": { p: 0.3, after: [0.45, 0.42] } },
    { u: 0.6 },
  );
  assert.equal(decided(a, penalised)?.decidedBy, "frequency_penalty");
  const heated = traceOf(
    " sky",
    steps,
    { " moor": { p: 0.2, after: [0.21, 0.25] }, " sea": { p: 0.5, after: [0.45, 0.3] }, " sky": { p: 0.3, after: [0.34, 0.45] } },
    { u: 0.6 },
  );
  assert.equal(decided(a, heated)?.decidedBy, "temperature");
});

test("a step that acts in the same way on both sides isn't the cause", () => {
  const listed = (/** @type {number[]} */ moor, /** @type {number[]} */ own, /** @type {number[]} */ sky) => ({
    " moor": { p: 0.2, after: moor }, " sea": { p: 0.5, after: own }, " sky": { p: 0.3, after: sky },
  });
  const penalised = listed([0.21, 0.2], [0.6, 0.5], [0.19, 0.3]);
  const b = traceOf(" sky", ["presence_penalty", "temperature"], penalised, { u: 0.79 });
  const alone = traceOf(" sea", ["temperature"], listed([0.1], [0.7], [0.2]), { u: 0.79 });
  assert.equal(decided(alone, b)?.decidedBy, "presence_penalty");
  const both = traceOf(" sea", b.steps, listed([0.2, 0.1], [0.61, 0.7], [0.19, 0.2]), { u: 0.79 });
  assert.equal(decided(both, b)?.decidedBy, "temperature");
  assert.equal(firstDifference([both], [b], ["presence_penalty"])?.decidedBy, "presence_penalty");
});

test("a filter removed other tokens and so moved the intervals", () => {
  const b = traceOf(
    " sky",
    ["min_p"],
    { " moor": { p: 0.2, after: [0], by: "min_p" }, " sea": { p: 0.5, after: [0.625] }, " sky": { p: 0.3, after: [0.375] } },
    { u: 0.66 },
  );
  assert.equal(
    decided(traceOf(" sea", [], plain, { u: 0.66 }), b)?.explanation,
    'min_p removed other tokens in B and so moved the intervals of the draw: u = 0.66 fell into " sea" in A and into ' +
      '" sky" in B.',
  );
});

test("one side took the most probable token", () => {
  const b = traceOf(
    " sea",
    ["temperature"],
    {
      " moor": { p: 0.2, after: [0], by: "temperature" },
      " sea": { p: 0.5, after: [1] },
      " sky": { p: 0.3, after: [0], by: "temperature" },
    },
    { source: "greedy" },
  );
  assert.deepEqual(decided(traceOf(" moor", [], plain, { u: 0.1 }), b), {
    index: 1,
    decidedBy: "temperature",
    explanation: 'At temperature 0, B took the most probable token, " sea"; A drew " moor" with u = 0.1.',
  });
});

test("both sides took the most probable token, and a penalty changed which one that is", () => {
  const greedy = (/** @type {string} */ token, /** @type {Step[]} */ steps, /** @type {number[][]} */ after) =>
    traceOf(
      token,
      steps,
      {
        " sea": { p: 0.6, count: 3, after: after[0], by: after[0].at(-1) ? undefined : "temperature" },
        " moor": { p: 0.4, after: after[1], by: after[1].at(-1) ? undefined : "temperature" },
      },
      { source: "greedy" },
    );
  const a = greedy(" sea", ["temperature"], [[1], [0]]);
  const b = greedy(" moor", ["presence_penalty", "temperature"], [[0.4, 0], [0.6, 1]]);
  assert.deepEqual(decided(a, b), {
    index: 1,
    decidedBy: "presence_penalty",
    explanation:
      'presence_penalty decided which token is the most probable: " sea" in A, " moor" in B (" sea" had already appeared ' +
      "3 times).",
  });
});

test("the schema or the budget left no choice", () => {
  const forced = traceOf(" moor", ["mask"], { ...plain, " moor": { p: 0.2, after: [1] } }, { source: "forced" });
  assert.deepEqual(decided(forced, sea), {
    index: 1,
    decidedBy: "forced",
    explanation: 'The schema or the call left only one possible token, " moor" in A; B drew " sea" with u = 0.5.',
  });
  assert.deepEqual(decided(sea, { ...forced, source: "closing" }), {
    index: 1,
    decidedBy: "closing",
    explanation: 'The document had to be completed within max_tokens, with " moor" in B; A drew " sea" with u = 0.5.',
  });
});

test("one answer ends before the other", () => {
  assert.deepEqual(firstDifference([sea], [sea, sea]), {
    index: 1,
    decidedBy: "length",
    explanation: 'A was cut off here, by max_tokens or a stop sequence, and B went on with " sea".',
  });
});

test("a token without text is called the end token", () => {
  const end = traceOf("", [], { ...plain, "": { p: 0.1 } }, { u: 0.95 });
  assert.match(decided(sea, { ...end, draw: { u: 0.5, low: 0.4, high: 0.6 } })?.explanation ?? "", /the end token/);
});

test("another prompt and another seed are told from other settings", () => {
  const other = traceOf(" moor", [], { ...plain, " sea": { p: 0.5, logit: 12 } }, { u: 0.5 });
  assert.equal(decided(sea, other)?.decidedBy, "prompt");
  const seeded = traceOf(" moor", [], plain, { u: 0.1 });
  assert.deepEqual(decided(sea, seeded), {
    index: 1,
    decidedBy: "seed",
    explanation: 'The seeds differ: u = 0.5 fell into " sea" in A, and u = 0.1 into " moor" in B.',
  });
});

test("intervals are in order of id, and their gaps hold what the trace doesn't list", () => {
  const listed = traceOf(" sea", [], { " sea": { p: 0.5 }, " moor": { p: 0.1 } });
  const recorded = { ...listed, draw: { u: 0.5, low: 0.4, high: 0.9 } };
  const [moor, own] = drawnFrom(recorded);
  assert.deepEqual([moor.id, own.id], [IDS[" moor"], IDS[" sea"]]);
  assert.ok(Math.abs(own.low - 0.4) < 1e-9 && Math.abs(own.high - 0.9) < 1e-9);
  assert.ok(moor.high <= own.low);
});

test("the same distribution has the same intervals on both sides, wherever the unlisted tokens are", () => {
  const listed = { " moor": { p: 0.1 }, " sea": { p: 0.3 }, " sky": { p: 0.2 } };
  const a = { ...traceOf(" sea", [], listed), draw: { u: 0.3, low: 0.25, high: 0.55 } };
  const b = { ...traceOf(" sky", [], listed), draw: { u: 0.7, low: 0.6, high: 0.8 } };
  const shareBelow = unlistedBelow([a, b]);
  assert.deepEqual(intervalsAfter(a, null, shareBelow), intervalsAfter(b, null, shareBelow));
  assert.ok(Math.abs(intervalsAfter(a, null, shareBelow)[2].low - 0.6) < 1e-9);
});
