/** Two settings side by side: the same prompt with the same seed, the first token that differs, and why. */

import { ApiError, wasAborted } from "./api.js";
import { createColumn } from "./comparison_column.js";
import { differing, requestOf, sampling, tries } from "./comparison_request.js";
import { randomSeed } from "./controls.js";
import { commonLength, firstDifference } from "./difference.js";
import { button, make } from "./dom.js";
import { uniqueId } from "./fields.js";
import { createVerdict } from "./verdict.js";

/** @typedef {import("./controls.js").Declaration} Declaration */
/** @typedef {import("./comparison_request.js").Values} Values */
/** @typedef {{signal: AbortSignal, onChunk: (chunk: any) => void, onTraceRefused: (reason: string) => void}} Options */
/** @typedef {(body: Values, options: Options) => Promise<unknown>} Complete */

/**
 * `request` returns the request that both sides start from, with its messages; it is asked again before each run.
 * `complete` sends one with `stream: true`, as that of js/api.js does. `context` is the length of the model's context
 * window. `parameters` is the data of GET /v1/parameters.
 * @param {{request: () => Values, complete: Complete, context: () => number, parameters: readonly Declaration[]}} options
 */
export function createComparison({ request, complete, context, parameters }) {
  const start = request();
  let seed = typeof start.seed === "number" ? start.seed : randomSeed();
  /** @type {AbortController | null} */
  let running = null;
  /** Whether the sides have differed in this run, and how many tokens were equal before. */
  let found = { differs: false, common: 0 };

  const options = { declarations: parameters, onChange: () => settingsChanged() };
  const [a, b] = [
    createColumn("A", { ...options, onPick: (index) => pick(index, "A") }),
    createColumn("B", { ...options, onPick: (index) => pick(index, "B") }),
  ];
  const columns = [a, b];
  const verdict = createVerdict();
  const announcer = make("p", { class: "hidden", role: "status" });
  const suggestions = make("div", { class: "suggestions", role: "group", "aria-label": "Changes to try in B" });
  const head = createHead({ onRun: () => (running ? stop() : run()), onSeed: () => { seed = randomSeed(); drawHead(); } });
  const titleId = head.titleId;

  function settingsChanged() {
    drawSettings();
    if (running === null && a.traces().length > 0) verdict.say("The settings have changed since", "Run both again to compare them.");
  }

  function drawSettings() {
    const [ofA, ofB] = columns.map(({ settings }) => settings.get());
    const differences = differing(parameters, ofA, ofB);
    a.showDiffering(differences.map(({ name, a: value }) => ({ name, value })));
    b.showDiffering(differences.map(({ name, b: value }) => ({ name, value })));
    suggestions.replaceChildren(
      make("span", { class: "caption" }, "Try in B"),
      ...tries(parameters, ofA).map(({ label, values }) => {
        const choose = () => { b.settings.set(values); settingsChanged(); suggestion(label)?.focus(); };
        const isChosen = differing(parameters, values, ofB).length === 0;
        return make("button", { type: "button", class: "suggestion mono", "aria-pressed": String(isChosen), onclick: choose }, label);
      }),
    );
  }

  /** @param {string} label */
  function suggestion(label) {
    return [...suggestions.querySelectorAll("button")].find((one) => one.textContent === label);
  }

  function drawHead() {
    head.draw({ request: request(), seed, isRunning: running !== null });
  }

  async function run() {
    if (running || !columns.every(({ settings }) => settings.check())) return;
    const common = request();
    if (typeof common.seed === "number") seed = common.seed;
    running = new AbortController();
    found = { differs: false, common: 0 };
    verdict.say("Comparing", "");
    drawHead();
    const { signal } = running;
    const complete = await Promise.all(columns.map((column) => stream(column, common, signal)));
    running = null;
    drawHead();
    if (complete.every(Boolean)) conclude();
    else if (!found.differs) say(soFar(found.common), "The answers aren't complete.");
  }

  /** Whether the answer is complete. @param {typeof a} column @param {Values} common @param {AbortSignal} signal */
  async function stream(column, common, signal) {
    column.begin();
    try {
      await complete(requestOf(common, { values: column.settings.get(), seed, context: context() }), {
        signal,
        onTraceRefused: () => {},
        onChunk: (chunk) => { column.add(chunk); lookForDifference(); },
      });
      column.end();
      return true;
    } catch (error) {
      if (wasAborted(error)) column.stop();
      else if (error instanceof ApiError) column.fail(error);
      else throw error;
      return false;
    }
  }

  function lookForDifference() {
    if (found.differs) return;
    const [ofA, ofB] = columns.map((column) => column.traces());
    const common = commonLength(ofA, ofB, found.common);
    found = { differs: common < Math.min(ofA.length, ofB.length), common };
    if (found.differs) showDifference();
    else verdict.say(soFar(common), "");
  }

  /** @returns {string | null} the explanation */
  function showDifference() {
    const [ofA, ofB] = columns.map((column) => column.traces());
    const difference = firstDifference(ofA, ofB);
    if (!difference) return null;
    const { index } = difference;
    verdict.showDifference(difference, ofA[index], ofB[index]);
    for (const column of columns) column.select(index);
    return difference.explanation;
  }

  /** Both sides have ended. */
  function conclude() {
    const { length } = a.traces();
    const explanation = showDifference();
    if (explanation) announcer.textContent = explanation;
    else if (length > 0) say("Both answers are equal", `The settings changed none of the ${tokens(length)}.`);
    else say("Nothing to compare", "There are no traces, so the page can't tell which step made a difference.");
  }

  /** @param {string} title @param {string} text */
  function say(title, text) {
    verdict.say(title, text);
    announcer.textContent = title;
  }

  /** Shows the token in both answers, as long as what came before it is equal. @param {number} index @param {"A" | "B"} name */
  function pick(index, name) {
    const [ofA, ofB] = columns.map((column) => column.traces());
    const common = commonLength(ofA, ofB);
    if (index > common) return;
    (name === "A" ? b : a).select(index);
    if (index < common) verdict.showCommon(index, ofA[index], ofB[index]);
    else showDifference();
  }

  function stop() {
    running?.abort();
  }

  /** The page's own settings have changed: A takes them. */
  function follow() {
    a.settings.set(sampling(request()));
    settingsChanged();
    drawHead();
  }

  for (const { settings } of columns) settings.set(sampling(start));
  drawSettings();
  drawHead();
  verdict.say("Give A and B different settings, then run both", "The prompt and the seed stay the same.");
  const sides = make("div", { class: "sides" }, a.element, verdict.element, b.element);
  const element = make("section", { class: "compare", "aria-labelledby": titleId }, head.element, suggestions, sides, announcer);
  return { element, run, stop, follow };
}

/** @param {number} count */
const tokens = (count) => `${count} ${count === 1 ? "token" : "tokens"}`;

/** @param {number} common */
const soFar = (common) => (common > 0 ? `The same so far: ${tokens(common)}` : "Nothing to compare yet");

/** @param {{onRun: () => void, onSeed: () => void}} handlers */
function createHead({ onRun, onSeed }) {
  const titleId = uniqueId("compare");
  const prompt = make("q", {});
  const number = make("code", {});
  const roll = button({ label: "Draw another seed", icon: "dice", onclick: onSeed });
  const start = make("button", { type: "button", class: "solid", onclick: onRun });
  const seedLine = make("span", { class: "compare-seed" }, "seed ", number, roll);
  const element = make(
    "header", { class: "compare-head" },
    make("div", {}, make("h2", { id: titleId }, "Two settings, one prompt"), make("p", { class: "compare-prompt" }, prompt)),
    seedLine, start,
  );
  return {
    element,
    titleId,
    /** @param {{request: Values, seed: number, isRunning: boolean}} state */
    draw({ request, seed, isRunning }) {
      prompt.textContent = lastPrompt(request);
      number.textContent = String(seed);
      // A seed that is set among the parameters stays.
      roll.hidden = typeof request.seed === "number";
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
