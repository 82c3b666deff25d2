/** How a token was chosen: the entries of `choices[i].trace`, as docs/trace.md describes them. */

/**
 * @typedef {"mask" | "logit_bias" | "repetition_penalty" | "frequency_penalty" | "presence_penalty" | "temperature"
 *   | "top_k" | "top_p" | "min_p"} Step
 *
 * @typedef {object} TracedCandidate
 * @property {number} id
 * @property {string} token
 * @property {number[]} bytes
 * @property {number | null} logit  null: −∞
 * @property {number} bias
 * @property {number} count
 * @property {number} probability
 * @property {number[]} after
 * @property {Step | null} removed_by
 *
 * @typedef {object} Histogram
 * @property {number} low
 * @property {number} high
 * @property {number[]} counts
 * @property {number[]} masses
 *
 * @typedef {object} Portion  A number of tokens, and their mass in the model's distribution.
 * @property {number} count
 * @property {number} mass
 *
 * @typedef {object} TokenTrace  How a token was chosen.
 * @property {number} id
 * @property {string} token
 * @property {number[]} bytes
 * @property {"drawn" | "greedy" | "forced" | "closing"} source
 * @property {number} vocabulary_size
 * @property {Step[]} steps
 * @property {TracedCandidate[]} candidates
 * @property {Portion} survivors
 * @property {Portion} allowed
 * @property {Histogram | null} rest
 * @property {{u: number, low: number, high: number} | null} draw
 * @property {{before: number, after: number}} entropy
 *
 * @typedef {object} PrefixTrace  A token of `trace.prefix`, of which nothing else is known.
 * @property {number} id
 * @property {string} token
 * @property {number[]} bytes
 * @property {"prefix"} source
 *
 * @typedef {TokenTrace | PrefixTrace} TraceEntry  One entry of `choices[i].trace`.
 *
 * @typedef {object} Candidate
 * @property {number} id
 * @property {string} token
 * @property {number[]} bytes
 * @property {number | null} logit
 * @property {number} count
 * @property {number} bias
 * @property {number} probability  in the model's distribution
 * @property {number[]} after  after each step
 * @property {Step | null} removedBy
 *
 * @typedef {object} Distribution
 * @property {Step[]} steps  the active ones, in order
 * @property {Candidate[]} candidates  in the trace's order
 * @property {number[]} unlisted  the probability of all other tokens together, after each step
 * @property {Portion} survivors
 * @property {{before: number, after: number}} entropy
 * @property {number | null} chosenId  the token that the trace's draw selects; null if the trace can't tell
 */

/** @type {readonly Step[]} */
export const ORDER = [
  "mask",
  "logit_bias",
  "repetition_penalty",
  "frequency_penalty",
  "presence_penalty",
  "temperature",
  "top_k",
  "top_p",
  "min_p",
];

/**
 * @param {TraceEntry} entry
 * @returns {entry is TokenTrace}
 */
export function isExplained(entry) {
  return entry.source !== "prefix";
}

/**
 * The distribution that the token was drawn from, as its trace records it.
 * @param {TokenTrace} trace
 * @returns {Distribution}
 */
export function recorded(trace) {
  const { steps, candidates, survivors, entropy, id } = trace;
  return {
    steps,
    candidates: candidates.map(({ removed_by, ...candidate }) => ({ ...candidate, removedBy: removed_by })),
    unlisted: steps.map((_, step) => Math.max(0, 1 - sum(candidates.map(({ after }) => after[step])))),
    survivors,
    entropy,
    chosenId: id,
  };
}

/**
 * The surprise of the generated token in bits: −log₂ of the model's probability.
 * @param {TokenTrace} trace
 */
export function surprise({ id, candidates }) {
  const probability = candidates.find((candidate) => candidate.id === id)?.probability ?? 0;
  return Math.max(0, -Math.log2(probability));
}

/** @param {number[]} values */
function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}
