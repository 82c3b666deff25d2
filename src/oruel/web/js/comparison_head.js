/** The head of a comparison: the prompt and the seed that both sides have, and the button that runs them. */

import { button, make } from "./dom.js";
import { uniqueId } from "./fields.js";

/** @typedef {import("./comparison_request.js").Values} Values */

/** @param {{onRun: () => void, onSeed: () => void}} handlers */
export function createComparisonHead({ onRun, onSeed }) {
  const titleId = uniqueId("compare");
  const prompt = make("q", {});
  const number = make("code", {});
  const roll = button({ label: "Draw another seed", icon: "dice", onclick: onSeed });
  const start = make("button", { type: "button", class: "solid", onclick: onRun });
  const element = make(
    "header", { class: "compare-head" },
    make("div", {}, make("h2", { id: titleId }, "Two settings, one prompt"), make("p", { class: "compare-prompt" }, prompt)),
    make("span", { class: "compare-seed" }, "seed ", number, roll), start,
  );
  return {
    element,
    titleId,
    /** @param {{request: Values, seed: number, isRunning: boolean}} state */
    draw({ request, seed, isRunning }) {
      const isSet = typeof request.seed === "number";
      prompt.textContent = lastPrompt(request);
      number.textContent = String(isSet ? request.seed : seed);
      roll.hidden = isSet;
      roll.disabled = isRunning;
      start.textContent = isRunning ? "Stop" : "Run both";
    },
  };
}

/** @param {Values} request */
function lastPrompt({ messages }) {
  const last = Array.isArray(messages) ? messages.filter(({ role }) => role === "user").at(-1) : null;
  return typeof last?.content === "string" ? last.content : "";
}
