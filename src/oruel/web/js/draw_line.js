/**
 * The draw of one token: the line from 0 to 1 on which each token that could be drawn has an interval as long as its
 * probability, in the order of ids, and the point that the draw hit.
 */

import { make } from "./dom.js";
import { layOut, unlistedBelow } from "./intervals.js";
import { decimal, percent, visible } from "./token_text.js";

/** @typedef {import("./token_trace.js").Candidate} Candidate */
/** @typedef {import("./token_trace.js").Distribution} Distribution */
/** @typedef {import("./token_trace.js").TokenTrace} TokenTrace */
/** @typedef {import("./intervals.js").Interval} Interval */

/** A shorter interval has no room for a label. */
const LABELLED = 0.04;
/** What is missing to 1 by rounding. */
const NOTHING = 1e-6;

export function createDrawLine() {
  const track = make("div", { class: "draw-track", "aria-hidden": "true" });
  const caption = make("p", { class: "draw-caption" });
  const root = make("figure", { class: "draw" }, track, make("figcaption", {}, caption));
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
      const candidates = distribution.candidates.map((candidate) => ({ ...candidate, probability: final(candidate) }));
      const spans = layOut(candidates, unlistedBelow([trace]))
        .filter(({ low, high }) => high > low)
        .map((interval) => segment(interval, candidates, distribution.chosenId));
      const unlisted = 1 - candidates.reduce((total, { probability }) => total + probability, 0);
      track.toggleAttribute("data-hatched", unlisted > NOTHING);
      const needle = make("span", { class: "draw-needle" }, make("span", {}, decimal(draw.u, 4)));
      needle.style.setProperty("--at", String(draw.u));
      needle.classList.toggle("leans-left", draw.u > 0.85);
      track.replaceChildren(...spans, needle);
      caption.textContent = [
        isPreview
          ? "The draw stays; the intervals move under it."
          : `The draw, ${decimal(draw.u, 4)}, fell between ${decimal(draw.low, 4)} and ${decimal(draw.high, 4)}.`,
        "Tokens are in the order of their ids.",
        unlisted > NOTHING ? "The hatched parts belong to other tokens." : "",
      ].join(" ");
    },
  };
}

/**
 * @param {Interval} interval
 * @param {Candidate[]} candidates
 * @param {number | null} chosenId
 */
function segment({ id, low, high }, candidates, chosenId) {
  const candidate = candidates.find((other) => other.id === id);
  const text = candidate ? visible(candidate).text.trim() : "";
  const made = make(
    "span",
    { class: "draw-interval", title: `${text}, ${percent(high - low)}`, "data-id": id, "data-chosen": id === chosenId },
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
