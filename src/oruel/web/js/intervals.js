/**
 * The line from 0 to 1 that a draw hits: one interval for each token, in order of id, as long as its probability. What
 * a trace doesn't list fills the gaps, at places that are estimated so that the recorded draws come out exactly.
 */

import { ORDER } from "./token_trace.js";

/** @typedef {import("./token_trace.js").TokenTrace} TokenTrace */
/** @typedef {import("./token_trace.js").TracedCandidate} TracedCandidate */
/** @typedef {import("./token_trace.js").Step} Step */
/** @typedef {{id: number, token: string, low: number, high: number}} Interval */
/** @typedef {(id: number) => number} ShareBelow  The share of the unlisted mass that belongs to lower ids. */

/** Below this, what a trace doesn't list is the rounding of what it lists. */
const NOTHING = 1e-6;

/**
 * The probability of a candidate once `step` and those before it have acted; before all steps if it is null.
 * @param {TokenTrace} trace
 * @param {TracedCandidate} candidate
 * @param {Step | null} step
 */
export function probabilityAfter(trace, candidate, step) {
  const count = step === null ? 0 : stepsThrough(trace, step);
  return count === 0 ? candidate.probability : candidate.after[count - 1];
}

/** @param {TokenTrace} trace @param {Step} step */
function stepsThrough({ steps }, step) {
  const last = ORDER.indexOf(step);
  return steps.filter((active) => ORDER.indexOf(active) <= last).length;
}

/**
 * The intervals of the listed tokens once `step` and those before it have acted.
 * @param {TokenTrace} trace
 * @param {Step | null} step
 * @param {ShareBelow} shareBelow
 * @returns {Interval[]}
 */
export function intervalsAfter(trace, step, shareBelow) {
  const candidates = trace.candidates.map((candidate) => {
    return { id: candidate.id, token: candidate.token, probability: probabilityAfter(trace, candidate, step) };
  });
  return layOut(candidates, shareBelow);
}

/**
 * The intervals of tokens with these probabilities.
 * @param {{id: number, token: string, probability: number}[]} candidates
 * @param {ShareBelow} shareBelow
 * @returns {Interval[]}
 */
export function layOut(candidates, shareBelow) {
  const unlisted = Math.max(0, 1 - sum(candidates.map(({ probability }) => probability)));
  const inOrder = [...candidates].sort((one, other) => one.id - other.id);
  let listed = 0;
  return inOrder.map(({ id, token, probability }) => {
    const low = Math.min(1, listed + unlisted * shareBelow(id));
    listed += probability;
    return { id, token, low, high: Math.min(1, low + probability) };
  });
}

/**
 * The intervals that the token was drawn from.
 * @param {TokenTrace} trace
 * @param {ShareBelow} [shareBelow]
 */
export function drawnFrom(trace, shareBelow = unlistedBelow([trace])) {
  return intervalsAfter(trace, trace.steps.at(-1) ?? null, shareBelow);
}

/**
 * Where the unlisted mass is, as far as the recorded draws tell: each says exactly how much of it has lower ids than
 * the drawn token. In between it is taken as even.
 * @param {readonly TokenTrace[]} traces
 * @returns {ShareBelow}
 */
export function unlistedBelow(traces) {
  const last = 1 + Math.max(...traces.flatMap(({ allowed, candidates }) => [allowed.count, ...ids(candidates)]));
  const known = traces.flatMap(recordedShare).sort((one, other) => one.id - other.id);
  const rising = known.filter(({ share }, place) => known.slice(0, place).every((before) => before.share <= share));
  const points = [{ id: 0, share: 0 }, ...rising, { id: last, share: 1 }];
  return (id) => {
    const next = points.findIndex((point) => point.id >= id);
    if (next <= 0) return next < 0 ? 1 : points[0].share;
    const [from, to] = [points[next - 1], points[next]];
    return to.id === from.id ? to.share : from.share + ((to.share - from.share) * (id - from.id)) / (to.id - from.id);
  };
}

/** @param {TokenTrace} trace @returns {Array<{id: number, share: number}>} */
function recordedShare({ id, candidates, draw }) {
  const final = candidates.map(({ after, probability }) => after.at(-1) ?? probability);
  const unlisted = 1 - sum(final);
  if (draw === null || unlisted < NOTHING) return [];
  const below = draw.low - sum(final.filter((_, place) => candidates[place].id < id));
  return [{ id, share: Math.min(1, Math.max(0, below / unlisted)) }];
}

/** @param {readonly TracedCandidate[]} candidates */
const ids = (candidates) => candidates.map(({ id }) => id);

/** @param {readonly number[]} values */
const sum = (values) => values.reduce((total, value) => total + value, 0);
