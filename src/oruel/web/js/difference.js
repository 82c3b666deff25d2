/**
 * The first token at which two answers to the same prompt with the same seed differ, and the step that decided it, in
 * one sentence. The answers are called A and B.
 */

import { intervalsAfter, probabilityAfter, unlistedBelow } from "./intervals.js";
import { ORDER } from "./token_trace.js";

/** @typedef {import("./token_trace.js").TokenTrace} TokenTrace */
/** @typedef {import("./token_trace.js").TracedCandidate} TracedCandidate */
/** @typedef {import("./token_trace.js").Step} Step */
/** @typedef {Step | "length" | "prompt" | "seed" | "forced" | "closing" | "rounding"} Decider */
/** @typedef {{decidedBy: Decider, explanation: string}} Decision */
/** @typedef {{index: number} & Decision} Difference */
/** @typedef {{name: string, trace: TokenTrace}} Side */

/** Logits of the same prompt differ by less than this, even if a GPU computes them in batches of different sizes. */
const SAME_LOGIT = 0.05;
const SAME_PROBABILITY = 1e-6;
const PENALTIES = ["repetition_penalty", "frequency_penalty", "presence_penalty"];
const FILTERS = ["top_k", "top_p", "min_p"];

/**
 * Null if both answers are equal. `differing` are the parameters that differ; if they aren't known, those that are
 * active on one side only.
 * @param {readonly TokenTrace[]} a
 * @param {readonly TokenTrace[]} b
 * @param {readonly string[]} [differing]
 * @returns {Difference | null}
 */
export function firstDifference(a, b, differing) {
  const index = commonLength(a, b);
  if (index === a.length && index === b.length) return null;
  return { index, ...decision(a[index], b[index], differing) };
}

/**
 * How many tokens at the start of both answers are equal, if the first `from` are known to be.
 * @param {readonly TokenTrace[]} a
 * @param {readonly TokenTrace[]} b
 * @param {number} [from]
 */
export function commonLength(a, b, from = 0) {
  const shorter = Math.min(a.length, b.length);
  let index = Math.min(from, shorter);
  while (index < shorter && a[index].id === b[index].id) index += 1;
  return index;
}

/**
 * @param {TokenTrace | undefined} a
 * @param {TokenTrace | undefined} b
 * @param {readonly string[]} [differing]
 * @returns {Decision}
 */
function decision(a, b, differing) {
  if (!a || !b) return ended(a ? "A" : "B", /** @type {TokenTrace} */ (a ?? b));
  const suspects = differing ?? ORDER.filter((step) => a.steps.includes(step) !== b.steps.includes(step));
  const sides = /** @type {[Side, Side]} */ ([
    { name: "A", trace: a },
    { name: "B", trace: b },
  ]);
  return (
    withoutChoice(sides, "forced") ??
    withoutChoice(sides, "closing") ??
    otherPrompt(sides) ??
    removed(sides) ??
    mostProbable(sides, suspects) ??
    otherSeed(sides) ??
    moved(sides, suspects)
  );
}

/** @param {string} name  of the answer that goes on @param {TokenTrace} next @returns {Decision} */
function ended(name, next) {
  const other = name === "A" ? "B" : "A";
  const explanation = `${other} was cut off here, by max_tokens or a stop sequence, and ${name} went on with ${quoted(next)}.`;
  return { decidedBy: "length", explanation };
}

/** @param {[Side, Side]} sides @param {"forced" | "closing"} source @returns {Decision | null} */
function withoutChoice([a, b], source) {
  const bound = [a, b].filter(({ trace }) => trace.source === source);
  if (bound.length === 0) return null;
  const tokens = bound.map(({ name, trace }) => `${quoted(trace)} in ${name}`).join(" and ");
  const rest = bound.length === 2 ? "" : `; ${chose(bound[0] === a ? b : a)}`;
  const why =
    source === "forced"
      ? `The schema or the call left only one possible token, ${tokens}${rest}.`
      : `The document had to be completed within max_tokens, with ${tokens}${rest}.`;
  return { decidedBy: source, explanation: why };
}

/** @param {[Side, Side]} sides @returns {Decision | null} */
function otherPrompt([a, b]) {
  const logits = new Map(a.trace.candidates.map(({ id, logit }) => [id, logit]));
  const differ = b.trace.candidates.some(({ id, logit }) => {
    const other = logits.get(id) ?? null;
    return logit !== null && other !== null && Math.abs(logit - other) > SAME_LOGIT;
  });
  if (!differ) return null;
  const explanation =
    "The model's own logits already differ here, so A and B differ in their prompt, tools or model, and not only in " +
    "the sampling.";
  return { decidedBy: "prompt", explanation };
}

/** A step of one side removed the token of the other. @param {[Side, Side]} sides @returns {Decision | null} */
function removed([a, b]) {
  const removals = [removal(a, b), removal(b, a)].filter((found) => found !== null);
  if (removals.length === 0) return null;
  removals.sort((one, other) => ORDER.indexOf(one.step) - ORDER.indexOf(other.step));
  const sentence = removals.map(({ text }) => text).join("; ");
  return { decidedBy: removals[0].step, explanation: `${sentence[0].toUpperCase()}${sentence.slice(1)}.` };
}

/**
 * The step of `side` that removed the token of `other`. A greedy side removes all tokens but one: that isn't the cause.
 * @param {Side} other @param {Side} side
 */
function removal(other, side) {
  const step = removingStep(side.trace, other.trace.id);
  if (step === null || (side.trace.source === "greedy" && step === greedyStep(side.trace))) return null;
  const token = quoted(other.trace);
  const acted = step === "mask" ? `the mask of the schema or the tools excluded ${token}` : `${step} removed ${token}`;
  const verb = other.trace.source === "greedy" ? "took" : "drew";
  return { step, text: `in ${side.name}, ${acted}, which ${other.name} ${verb}${demotion(step, other, side)}` };
}

/**
 * Both sides may have the step that removed the token, and an earlier one made the difference.
 * @param {Step} removing @param {Side} other @param {Side} side
 */
function demotion(removing, other, side) {
  if (!other.trace.steps.includes(removing)) return "";
  const [there, here] = [other, side].map(({ trace }) => trace.candidates.find(({ id }) => id === other.trace.id));
  if (!there || !here) return "";
  const before = ORDER.slice(0, ORDER.indexOf(removing));
  const step = before.find((step) => {
    const less = probabilityAfter(other.trace, there, step) - probabilityAfter(side.trace, here, step);
    return less > SAME_PROBABILITY;
  });
  return step ? ` and which ${step} had made less probable in ${side.name}` : "";
}

/**
 * The step that removed the token. If the trace doesn't list the token, it was removed with all others unlisted.
 * @param {TokenTrace} trace @param {number} id @returns {Step | null}
 */
function removingStep({ candidates, steps, survivors }, id) {
  const candidate = candidates.find((listed) => listed.id === id);
  if (candidate) return candidate.removed_by;
  if (survivors.count > candidates.filter(({ removed_by }) => removed_by === null).length) return null;
  const listedMass = steps.map((_, step) => candidates.reduce((sum, { after }) => sum + after[step], 0));
  return steps[listedMass.findIndex((mass) => mass > 1 - SAME_PROBABILITY)] ?? null;
}

/** The step that left only the most probable token. @param {TokenTrace} trace @returns {Step} */
function greedyStep({ steps, candidates, id }) {
  const generated = candidates.find((candidate) => candidate.id === id);
  const alone = steps.find((step, place) => isGreedy(step) && generated?.after[place] === 1);
  return alone ?? "temperature";
}

/** @param {Step} step */
const isGreedy = (step) => step === "temperature" || step === "top_k" || step === "top_p";

/** @param {Step} step */
const greedySetting = (step) => `${step} ${step === "top_k" ? 1 : 0}`;

/**
 * One side or both took the most probable token.
 * @param {[Side, Side]} sides @param {readonly string[]} suspects @returns {Decision | null}
 */
function mostProbable([a, b], suspects) {
  const greedy = [a, b].filter(({ trace }) => trace.source === "greedy");
  if (greedy.length === 0) return null;
  if (greedy.length === 2) return otherOrder([a, b], suspects);
  const [side] = greedy;
  const step = greedyStep(side.trace);
  const took = `At ${greedySetting(step)}, ${side.name} took the most probable token, ${quoted(side.trace)}`;
  return { decidedBy: step, explanation: `${took}; ${chose(side === a ? b : a)}.` };
}

/** A step put another token first. @param {[Side, Side]} sides @param {readonly string[]} suspects @returns {Decision} */
function otherOrder(sides, suspects) {
  const step = decidingStep(suspects, (step) => {
    const [leader, other] = sides.map(({ trace }) => leading(trace, step, sides));
    return leader === other;
  });
  if (step === null) return tie(sides);
  const [a, b] = sides.map(({ name, trace }) => `${quoted(trace)} in ${name}`);
  const explanation = `${step} decided which token is the most probable: ${a}, ${b}${appearances(step, sides)}.`;
  return { decidedBy: step, explanation };
}

/** Which of the two sides' tokens is ahead in `trace`. @param {TokenTrace} trace @param {Step | null} step @param {[Side, Side]} sides */
function leading(trace, step, sides) {
  const [a, b] = sides.map(({ trace: { id } }) => trace.candidates.find((candidate) => candidate.id === id));
  const [pa, pb] = [a, b].map((candidate) => (candidate ? probabilityAfter(trace, candidate, step) : 0));
  return pa === pb ? Math.min(sides[0].trace.id, sides[1].trace.id) : sides[pa > pb ? 0 : 1].trace.id;
}

/** @param {Step} step @param {[Side, Side]} sides */
function appearances(step, sides) {
  if (!PENALTIES.includes(step)) return "";
  const tokens = sides.flatMap(({ trace }) => trace.candidates.filter(({ id }) => id === trace.id));
  const [repeated] = tokens.sort((one, other) => other.count - one.count);
  return repeated?.count ? ` (${quoted(repeated)} had already appeared ${times(repeated.count)})` : "";
}

/** @param {number} count */
const times = (count) => (count === 1 ? "once" : count === 2 ? "twice" : `${count} times`);

/** @param {[Side, Side]} sides @returns {Decision} */
function tie([a, b]) {
  const tokens = `${quoted(a.trace)} and ${quoted(b.trace)}`;
  return { decidedBy: "rounding", explanation: `${tokens} are so close here that rounding decided.` };
}

/** @param {[Side, Side]} sides @returns {Decision | null} */
function otherSeed([a, b]) {
  const [ua, ub] = [a, b].map(({ trace }) => trace.draw?.u ?? null);
  if (ua === null || ub === null || ua === ub) return null;
  const numbers = `u = ${short(ua)} fell into ${quoted(a.trace)} in A, and u = ${short(ub)} into ${quoted(b.trace)} in B`;
  return { decidedBy: "seed", explanation: `The seeds differ: ${numbers}.` };
}

/**
 * The same number fell into another token's interval.
 * @param {[Side, Side]} sides @param {readonly string[]} suspects @returns {Decision}
 */
function moved(sides, suspects) {
  const [a, b] = sides.map(({ trace }) => trace);
  const u = /** @type {number} */ (a.draw?.u);
  const shareBelow = unlistedBelow([a, b]);
  const step = decidingStep(suspects, (step) => {
    if (sameDistribution(a, b, step)) return true;
    const [hitA, hitB] = [a, b].map((trace) => hit(intervalsAfter(trace, step, shareBelow), u));
    return hitA === hitB;
  });
  if (step === null) return tie(sides);
  const where = `u = ${short(u)} fell into ${quoted(a)} in A and into ${quoted(b)} in B`;
  return { decidedBy: step, explanation: `${mover(step, sides)} the intervals of the draw: ${where}${appearances(step, sides)}.` };
}

/** @param {Step} step @param {[Side, Side]} sides */
function mover(step, sides) {
  if (step === "mask") return "The mask of the schema or the tools moved";
  if (!FILTERS.includes(step)) return `${step} moved`;
  const acting = sides.filter(({ trace }) => trace.steps.includes(step));
  const where = acting.length === 1 ? `other tokens in ${acting[0].name}` : "different tokens in A and B";
  return `${step} removed ${where} and so moved`;
}

/**
 * The step from which on the sides no longer agree. One that acts in the same way on both sides isn't the cause, but the
 * last suspect before it. `agree` tells it for the distributions after a step.
 * @param {readonly string[]} suspects
 * @param {(step: Step | null) => boolean} agree
 */
function decidingStep(suspects, agree) {
  const agreed = ORDER.map(agree).lastIndexOf(true);
  const found = ORDER[agreed + 1];
  if (!found) return null;
  const cause = ORDER.slice(0, agreed + 2).filter((step) => suspects.includes(step)).at(-1);
  return cause ?? found;
}

/** @param {TokenTrace} a @param {TokenTrace} b @param {Step | null} step */
function sameDistribution(a, b, step) {
  const others = new Map(b.candidates.map((candidate) => [candidate.id, probabilityAfter(b, candidate, step)]));
  return a.candidates.every((candidate) => {
    const other = others.get(candidate.id);
    return other === undefined || Math.abs(probabilityAfter(a, candidate, step) - other) < SAME_PROBABILITY;
  });
}

/**
 * The token whose interval contains `u`, or the one before the gap that contains it, which has a negative sign.
 * @param {import("./intervals.js").Interval[]} intervals @param {number} u
 */
function hit(intervals, u) {
  const last = intervals.filter(({ low, high }) => low <= u && low < high).at(-1);
  if (!last) return -1;
  return u < last.high ? last.id : -2 - last.id;
}

/** What the side did, as half a sentence. @param {Side} side */
function chose({ name, trace }) {
  if (trace.source === "greedy") return `${name} took the most probable one, ${quoted(trace)}`;
  if (trace.draw === null) return `${name} has ${quoted(trace)}`;
  return `${name} drew ${quoted(trace)} with u = ${short(trace.draw.u)}`;
}

/** @param {number} u */
const short = (u) => String(Number(u.toFixed(4)));

/** @param {{token: string}} trace */
const quoted = ({ token }) => (token === "" ? "the end token" : JSON.stringify(token));
