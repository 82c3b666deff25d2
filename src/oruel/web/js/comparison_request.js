/** What two requests of a comparison have in common, and what differs: the sampling parameters. */

import { traceTop } from "./client.js";

/** @typedef {import("./controls.js").Declaration} Declaration */
/** @typedef {Record<string, unknown>} Values  What isn't named has its default. */
/** @typedef {{name: string, a: string, b: string}} Differing */

const COMPARED = [
  "temperature", "top_p", "top_k", "min_p", "frequency_penalty", "presence_penalty", "repetition_penalty",
];
/** Changes that are worth a try, each alone. @type {[string, number][]} */
const TRIES = [
  ["temperature", 0], ["temperature", 1.5], ["top_p", 0.5], ["top_k", 3], ["min_p", 0.2], ["frequency_penalty", 1],
];

/**
 * The parameters that each side sets for itself.
 * @param {readonly Declaration[]} declarations
 */
export function compared(declarations) {
  return declarations.filter(({ name, served }) => served && COMPARED.includes(name));
}

/**
 * The part of a request that each side sets for itself.
 * @param {Values} request
 * @returns {Values}
 */
export function sampling(request) {
  return Object.fromEntries(Object.entries(request).filter(([name]) => COMPARED.includes(name)));
}

/**
 * The request of one side. It has one choice, is streamed, and returns the trace as far as the context window allows.
 * @param {Values} request
 * @param {{values: Values, seed: number, context: number}} side
 * @returns {Values}
 */
export function requestOf(request, { values, seed, context }) {
  const common = Object.fromEntries(
    Object.entries(request).filter(([name]) => !COMPARED.includes(name) && name !== "n"),
  );
  const top = traceTop(common, context);
  return { ...common, ...values, ...(top > 0 ? { trace: { top } } : {}), seed, stream: true };
}

/**
 * The parameters in which the sides differ, with both values as people read them.
 * @param {readonly Declaration[]} declarations
 * @param {Values} a
 * @param {Values} b
 * @returns {Differing[]}
 */
export function differing(declarations, a, b) {
  return compared(declarations)
    .map((declaration) => ({ name: declaration.name, a: shown(declaration, a), b: shown(declaration, b) }))
    .filter((both) => both.a !== both.b);
}

/** @param {Declaration} declaration @param {Values} values */
function shown({ name, default: standard, default_note: note }, values) {
  return String(values[name] ?? standard ?? note);
}

/**
 * Values for B that differ from A in one parameter each.
 * @param {readonly Declaration[]} declarations
 * @param {Values} a
 * @returns {Array<{label: string, values: Values}>}
 */
export function tries(declarations, a) {
  const served = new Map(compared(declarations).map((declaration) => [declaration.name, declaration]));
  return TRIES.flatMap(([name, value]) => {
    const declaration = served.get(name);
    if (!declaration || shown(declaration, a) === String(value)) return [];
    return [{ label: `${name} ${value}`, values: { ...a, [name]: value } }];
  });
}
