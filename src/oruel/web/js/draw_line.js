/**
 * The draw of one token: the line from 0 to 1 on which each token that could be drawn has an interval as long as its
 * probability, in the order of ids, and the point that the draw hit.
 */

import { element } from "./element.js";
import { decimal, percent, visible } from "./token_text.js";

/** @typedef {import("./token_trace.js").Candidate} Candidate */
/** @typedef {import("./token_trace.js").Distribution} Distribution */
/** @typedef {import("./token_trace.js").TokenTrace} TokenTrace */
/** @typedef {{candidate: Candidate | null, low: number, high: number}} Interval  candidate null: unlisted tokens */

/** A shorter interval has no room for a label. */
const LABELLED = 0.04;

/**
 * The intervals of the listed tokens, with all unlisted tokens of lower ids than the generated one before them, and
 * those of higher ids after them. The recorded draw tells how the unlisted mass divides.
 * @param {TokenTrace} trace
 * @param {Distribution} distribution
 * @returns {Interval[]}
 */
export function intervals(trace, distribution) {
  const inOrder = distribution.candidates
    .map((candidate) => ({ candidate, p: final(candidate) }))
    .filter(({ p }) => p > 0)
    .sort((a, b) => a.candidate.id - b.candidate.id);
  const others = Math.max(0, 1 - inOrder.reduce((total, { p }) => total + p, 0));
  const before = others * shareBelow(trace);
  const parts = [{ candidate: null, p: before }, ...inOrder, { candidate: null, p: others - before }];
  let low = 0;
  return parts
    .map(({ candidate, p }) => ({ candidate, low, high: (low += p) }))
    .filter((interval) => interval.high - interval.low > 1e-9);
}

/**
 * The share of the unlisted mass that belongs to lower ids than the generated token's.
 * @param {TokenTrace} trace
 */
function shareBelow({ id, candidates, draw }) {
  const finals = candidates.map(({ after, probability }) => after.at(-1) ?? probability);
  const others = 1 - finals.reduce((total, p) => total + p, 0);
  if (draw === null || others < 1e-9) return 0.5;
  const listed = finals.filter((_, place) => candidates[place].id < id).reduce((total, p) => total + p, 0);
  return Math.min(1, Math.max(0, (draw.low - listed) / others));
}

export function createDrawLine() {
  const track = element("div", { class: "draw-track", "aria-hidden": "true" });
  const caption = element("p", { class: "draw-caption" });
  const root = element("figure", { class: "draw" }, track, element("figcaption", {}, caption));
  return {
    element: root,
    /**
     * @param {TokenTrace} trace
     * @param {Distribution} distribution
     * @param {boolean} isPreview
     */
    show(trace, distribution, isPreview) {
      const { draw } = trace;
      root.hidden = draw === null;
      if (draw === null) return;
      const spans = intervals(trace, distribution).map((interval) => segment(interval, distribution.chosenId));
      const needle = element("span", { class: "draw-needle" }, element("span", {}, decimal(draw.u, 4)));
      needle.style.setProperty("--at", String(draw.u));
      needle.classList.toggle("leans-left", draw.u > 0.85);
      track.replaceChildren(...spans, needle);
      caption.textContent = isPreview
        ? "The draw stays; the intervals move under it."
        : `Intervals in the order of ids. The draw, ${decimal(draw.u, 4)}, fell between ${decimal(draw.low, 4)} and ${decimal(draw.high, 4)}.`;
    },
  };
}

/**
 * @param {Interval} interval
 * @param {number | null} chosenId
 */
function segment({ candidate, low, high }, chosenId) {
  const text = candidate ? visible(candidate).text.trim() : "others";
  const made = element(
    "span",
    {
      class: "draw-interval",
      title: `${text}, ${percent(high - low)}`,
      "data-id": candidate?.id ?? null,
      "data-others": candidate === null,
      "data-chosen": candidate !== null && candidate.id === chosenId,
    },
    high - low >= LABELLED ? text : null,
  );
  made.style.setProperty("--low", String(low));
  made.style.setProperty("--high", String(high));
  return made;
}

/** @param {Candidate} candidate */
function final({ after, probability }) {
  return after.at(-1) ?? probability;
}
