/**
 * What a token's distribution would be under other settings, computed from its trace. Exact if the trace lists every
 * allowed token. Otherwise unlisted tokens are taken from the histogram, and a new penalty doesn't change them, since a
 * trace doesn't say which of them have appeared.
 */

import { ORDER } from "./token_trace.js";

/** @typedef {import("./token_trace.js").Distribution} Distribution */
/** @typedef {import("./token_trace.js").Step} Step */
/** @typedef {import("./token_trace.js").TokenTrace} TokenTrace */
/** @typedef {import("./token_trace.js").TracedCandidate} TracedCandidate */
/** @typedef {import("./token_trace.js").Candidate} Candidate */

/**
 * @typedef {object} Settings
 * @property {number} temperature
 * @property {number} top_k  0: no limit
 * @property {number} top_p
 * @property {number} min_p
 * @property {number} frequency_penalty
 * @property {number} presence_penalty
 * @property {number} repetition_penalty
 */

/**
 * A candidate of the trace, or `size` unlisted tokens with the same logit. A step changes the logit or the size.
 * @typedef {object} Group
 * @property {TracedCandidate | null} listed
 * @property {number} size
 * @property {number} logit
 * @property {number} share  of one token in the model's distribution
 * @property {number} p  of one token, after the last step
 */

/** The inaccuracy of a distribution with unlisted tokens, and of the engine's own arithmetic in float32. */
const TOLERANCE = { approximate: 1e-3, exact: 1e-6 };
/** A smaller probability may be the rounding of others. */
const ROUNDING = 1e-9;
/** The number of groups that stand for one bin of the histogram. */
const PARTS = 8;

/** @typedef {(groups: Group[], settings: Settings, trace: TokenTrace) => Group[]} Action */

/** @type {Record<Step, {isActive: (settings: Settings, trace: TokenTrace) => boolean, act: Action}>} */
const ACTIONS = {
  mask: { isActive: (_, { steps }) => steps.includes("mask"), act: (groups, _, trace) => mask(groups, trace) },
  logit_bias: {
    isActive: (_, { steps }) => steps.includes("logit_bias"),
    act: (groups) => relogit(groups, (logit, { bias }) => logit + bias),
  },
  repetition_penalty: {
    isActive: (settings) => settings.repetition_penalty !== 1,
    act: (groups, { repetition_penalty: factor }) =>
      relogit(groups, (logit, { count }) => (count === 0 ? logit : logit > 0 ? logit / factor : logit * factor)),
  },
  frequency_penalty: {
    isActive: (settings) => settings.frequency_penalty !== 0,
    act: (groups, settings) => relogit(groups, (logit, { count }) => logit - settings.frequency_penalty * count),
  },
  presence_penalty: {
    isActive: (settings) => settings.presence_penalty !== 0,
    act: (groups, settings) =>
      relogit(groups, (logit, { count }) => (count === 0 ? logit : logit - settings.presence_penalty)),
  },
  temperature: {
    isActive: (settings) => settings.temperature !== 1,
    act: (groups, settings) => (settings.temperature === 0 ? topK(groups, 1) : heat(groups, settings.temperature)),
  },
  top_k: {
    isActive: ({ top_k }, { steps, allowed }) => top_k > 0 && (steps.includes("mask") || top_k < allowed.count),
    act: (groups, { top_k }) => topK(groups, top_k),
  },
  top_p: { isActive: ({ top_p }) => top_p < 1, act: (groups, { top_p }) => topP(groups, top_p) },
  min_p: { isActive: ({ min_p }) => min_p > 0, act: (groups, { min_p }) => minP(groups, min_p) },
};

/**
 * The distribution that the token would be drawn from under other settings than those of the request. If these are
 * unknown, penalties count as changed.
 * @param {TokenTrace} trace
 * @param {Settings} settings
 * @param {Settings | null} [requested]
 * @returns {Distribution}
 */
export function redistribute(trace, settings, requested = null) {
  const steps = activeSteps(trace, settings);
  const unchanged = unchangedSteps(settings, requested);
  /** @type {Group[][]} */
  const stages = [normalised([...listed(trace), ...unlisted(trace)])];
  for (const step of steps) {
    const changed = normalised(ACTIONS[step].act(stages[stages.length - 1], settings, trace));
    stages.push(unchanged.includes(step) ? asTraced(changed, trace, step) : changed);
  }
  const final = stages[stages.length - 1];
  return {
    steps,
    candidates: throughStages(trace, steps, stages),
    unlisted: stages.slice(1).map(unlistedMass),
    survivors: { count: sum(final.map(({ size }) => size)), mass: sum(final.map(({ size, share }) => size * share)) },
    entropy: { before: trace.entropy.before, after: entropy(final) },
    chosenId: choose(final, trace),
  };
}

/**
 * The steps before the first one that has another setting.
 * @param {Settings} settings
 * @param {Settings | null} requested
 */
function unchangedSteps(settings, requested) {
  const first = ORDER.findIndex((step) => step in settings && !(requested && isSame(step, settings, requested)));
  return first < 0 ? ORDER : ORDER.slice(0, first);
}

/**
 * @param {Step} step
 * @param {Settings} one
 * @param {Settings} other
 */
function isSame(step, one, other) {
  const name = /** @type {keyof Settings} */ (step);
  return one[name] === other[name];
}

/**
 * Nothing follows a step that leaves one token.
 * @param {TokenTrace} trace
 * @param {Settings} settings
 */
function activeSteps(trace, settings) {
  const active = ORDER.filter((step) => ACTIONS[step].isActive(settings, trace));
  const last = active.findIndex((step) => leavesOne(step, settings));
  return last < 0 ? active : active.slice(0, last + 1);
}

/**
 * @param {Step} step
 * @param {Settings} settings
 */
function leavesOne(step, { temperature, top_k, top_p }) {
  return (
    (step === "temperature" && temperature === 0) || (step === "top_k" && top_k === 1) || (step === "top_p" && top_p === 0)
  );
}

/**
 * @param {TokenTrace} trace
 * @param {Step[]} steps
 * @param {Group[][]} stages  before all steps, and after each
 * @returns {Candidate[]}
 */
function throughStages(trace, steps, stages) {
  const present = stages.map(probabilities);
  return trace.candidates.map(({ removed_by: _, ...candidate }) => {
    const gone = present.findIndex((ids) => !ids.has(candidate.id));
    return {
      ...candidate,
      after: present.slice(1).map((ids) => ids.get(candidate.id) ?? 0),
      removedBy: gone > 0 ? steps[gone - 1] : null,
    };
  });
}

/**
 * @param {TokenTrace} trace
 * @returns {Group[]}
 */
function listed({ candidates }) {
  return candidates.flatMap((listed) =>
    listed.logit === null ? [] : [{ listed, size: 1, logit: listed.logit, share: listed.probability, p: 0 }],
  );
}

/**
 * The tokens of the histogram. The first of them is known exactly, because its logit is the histogram's upper bound.
 * @param {TokenTrace} trace
 * @returns {Group[]}
 */
function unlisted({ rest, candidates }) {
  if (rest === null) return [];
  const { low, high, counts, masses } = rest;
  const logTotal = logOfTotal(candidates);
  const width = (high - low) / counts.length;
  const first = { size: 1, logit: high };
  const places = counts.flatMap((count, bin) => {
    const hasFirst = bin === counts.length - 1 && count > 1;
    const [size, mass] = hasFirst ? [count - 1, masses[bin] - Math.exp(high - logTotal)] : [count, masses[bin]];
    const start = low + bin * width;
    const mean = mass > 0 ? Math.log(mass / size) + logTotal : start + width / 2;
    return [...(size > 0 ? spread(size, mean, start, width) : []), ...(hasFirst ? [first] : [])];
  });
  return places.map(({ size, logit }) => ({ listed: null, size, logit, share: Math.exp(logit - logTotal), p: 0 }));
}

/**
 * The logarithm of Σ exp(logit) over the model's distribution.
 * @param {TracedCandidate[]} candidates
 */
function logOfTotal(candidates) {
  const { logit, probability } = candidates.reduce((best, next) => (next.probability > best.probability ? next : best));
  return (logit ?? 0) - Math.log(probability);
}

/**
 * Spreads the tokens of a bin evenly around the logit that gives them their mass, as far as the bin allows. With all
 * of them at that logit, their mass would be too small at other temperatures.
 * @param {number} count
 * @param {number} mean  logarithm of the mean of exp(logit)
 * @param {number} start
 * @param {number} width
 */
function spread(count, mean, start, width) {
  const reach = Math.max(0, Math.min(mean - start, start + width - mean));
  const parts = Math.min(count, PARTS);
  const places = Array.from({ length: parts }, (_, part) => ({
    size: Math.floor(((part + 1) * count) / parts) - Math.floor((part * count) / parts),
    logit: mean + reach * ((2 * part + 1) / parts - 1),
  }));
  const excess = Math.log(sum(places.map(({ size, logit }) => size * Math.exp(logit - mean))) / count);
  return places.map(({ size, logit }) => ({ size, logit: logit - excess }));
}

/**
 * @param {Group[]} groups
 * @returns {Group[]}
 */
function normalised(groups) {
  const peak = Math.max(...groups.map(({ logit }) => logit));
  const weights = groups.map(({ logit }) => Math.exp(logit - peak));
  const total = sum(groups.map(({ size }, place) => size * weights[place]));
  return groups.map((group, place) => ({ ...group, p: weights[place] / total }));
}

/**
 * Gives the unlisted tokens the mass that they had in the trace after a step that nothing has changed. So their biases
 * and counts, which a trace doesn't say, have their effect.
 * @param {Group[]} groups
 * @param {TokenTrace} trace
 * @param {Step} step
 * @returns {Group[]}
 */
function asTraced(groups, { steps, candidates }, step) {
  const place = steps.indexOf(step);
  const now = unlistedMass(groups);
  const then = 1 - sum(candidates.map(({ after }) => after[place]));
  if (place < 0 || [now, then].some((mass) => mass < ROUNDING || mass > 1 - ROUNDING)) return groups;
  const shift = Math.log(then / (1 - then)) - Math.log(now / (1 - now));
  return normalised(groups.map((group) => (group.listed ? group : { ...group, logit: group.logit + shift })));
}

/**
 * The probabilities of the listed tokens.
 * @param {Group[]} groups
 * @returns {Map<number | undefined, number>}
 */
function probabilities(groups) {
  return new Map(groups.map(({ listed, p }) => [listed?.id, p]));
}

/**
 * The model may rule out all that the mask allows. Then the mask decides alone, and the token is the generated one.
 * @param {Group[]} groups
 * @param {TokenTrace} trace
 * @returns {Group[]}
 */
function mask(groups, { id, candidates }) {
  const allowed = groups.filter(({ listed }) => listed?.removed_by !== "mask");
  const generated = candidates.find((candidate) => candidate.id === id) ?? null;
  return allowed.length > 0 ? allowed : [{ listed: generated, size: 1, logit: 0, share: 0, p: 1 }];
}

/**
 * @param {Group[]} groups
 * @param {(logit: number, candidate: TracedCandidate) => number} change
 * @returns {Group[]}
 */
function relogit(groups, change) {
  return groups.map((group) => (group.listed ? { ...group, logit: change(group.logit, group.listed) } : group));
}

/**
 * Subtracts the largest logit first, so that the smallest temperature doesn't overflow.
 * @param {Group[]} groups
 * @param {number} temperature
 * @returns {Group[]}
 */
function heat(groups, temperature) {
  const peak = Math.max(...groups.map(({ logit }) => logit));
  return groups.map((group) => ({ ...group, logit: (group.logit - peak) / temperature }));
}

/**
 * @param {Group[]} groups
 * @param {number} limit
 */
function topK(groups, limit) {
  let left = limit;
  return takeFromTop(groups, ({ size }) => {
    const taken = Math.min(size, left);
    left -= taken;
    return taken;
  });
}

/**
 * The smallest set whose probability exceeds `share`.
 * @param {Group[]} groups
 * @param {number} share
 */
function topP(groups, share) {
  let mass = 0;
  return takeFromTop(groups, ({ size, p }) => {
    if (mass > share || p === 0) return 0;
    const taken = Math.min(size, Math.floor((share - mass) / p) + 1);
    mass += taken * p;
    return taken;
  });
}

/**
 * @param {Group[]} groups
 * @param {number} ratio
 */
function minP(groups, ratio) {
  const bound = ratio * Math.max(...groups.map(({ p }) => p));
  return groups.filter(({ p }) => p >= bound);
}

/**
 * Asks `take` how many tokens of each group are kept, from the most probable group on; ties go to the lower id.
 * @param {Group[]} groups
 * @param {(group: Group) => number} take
 * @returns {Group[]}
 */
function takeFromTop(groups, take) {
  const id = (/** @type {Group} */ { listed }) => listed?.id ?? Infinity;
  const ranked = [...groups].sort((a, b) => b.logit - a.logit || id(a) - id(b));
  return ranked.map((group) => ({ ...group, size: take(group) })).filter(({ size }) => size > 0);
}

/**
 * The token whose interval contains the trace's uniform number, wherever the unlisted tokens are in the order of ids.
 * @param {Group[]} groups
 * @param {TokenTrace} trace
 */
function choose(groups, trace) {
  if (trace.source === "forced" || trace.source === "closing") return trace.id;
  if (groups.length === 1 && groups[0].size === 1) return groups[0].listed?.id ?? null;
  if (trace.draw === null) return null;
  const others = unlistedMass(groups);
  const margin = others > 0 ? TOLERANCE.approximate : TOLERANCE.exact;
  if (isAsRecorded(groups, trace, margin)) return trace.id;
  const inOrder = groups.flatMap(({ listed, p }) => (listed ? [{ id: listed.id, p }] : [])).sort((a, b) => a.id - b.id);
  let low = 0;
  for (const { id, p } of inOrder) {
    if (low + others + margin <= trace.draw.u && trace.draw.u < low + p - margin) return id;
    low += p;
  }
  return null;
}

/**
 * Whether these are the probabilities that the token was drawn with.
 * @param {Group[]} groups
 * @param {TokenTrace} trace
 * @param {number} tolerance
 */
function isAsRecorded(groups, { candidates }, tolerance) {
  const now = probabilities(groups);
  return candidates.every(({ id, after, probability }) => {
    return Math.abs((now.get(id) ?? 0) - (after.at(-1) ?? probability)) < tolerance;
  });
}

/** @param {Group[]} groups */
function entropy(groups) {
  return Math.max(0, -sum(groups.map(({ size, p }) => (p > 0 ? size * p * Math.log2(p) : 0))));
}

/** @param {Group[]} groups */
function unlistedMass(groups) {
  return sum(groups.map(({ listed, size, p }) => (listed ? 0 : size * p)));
}

/** @param {number[]} values */
function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}
