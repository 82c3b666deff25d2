/** Two settings side by side: the same prompt with the same seed, the first token that differs, and why. */

import { ApiError, wasAborted } from "./api.js";
import { createColumn } from "./comparison_column.js";
import { createComparisonHead } from "./comparison_head.js";
import { differing, requestOf, sampling, tries } from "./comparison_request.js";
import { randomSeed } from "./controls.js";
import { commonLength, firstDifference } from "./difference.js";
import { make } from "./dom.js";
import { createVerdict } from "./verdict.js";

/** @typedef {import("./controls.js").Declaration} Declaration */
/** @typedef {import("./comparison_request.js").Values} Values */
/** @typedef {ReturnType<typeof createColumn>} Column */
/** @typedef {{signal: AbortSignal, onChunk: (chunk: any) => void, onTraceRefused: (reason: string) => void}} Options */

/**
 * @typedef {object} Parts
 * @property {() => Values} request what both sides start from, with the messages; it is asked again before each run
 * @property {(body: Values, options: Options) => Promise<unknown>} complete sends a request with `stream: true`
 * @property {() => number} context the length of the model's context window
 * @property {readonly Declaration[]} parameters the data of GET /v1/parameters
 */

/** @param {Parts} parts */
export function createComparison(parts) {
  return new Comparison(parts);
}

class Comparison {
  /** @param {Parts} parts */
  constructor(parts) {
    this.parts = parts;
    this.seed = randomSeed();
    /** @type {AbortController | null} */
    this.running = null;
    /** The parameters that differ in this run; how many tokens were equal, and whether one differed. */
    this.found = { differing: /** @type {string[]} */ ([]), common: 0, differs: false };

    this.head = createComparisonHead({
      onRun: () => (this.running ? this.stop() : this.run()),
      onSeed: () => { this.seed = randomSeed(); this.#drawHead(); },
    });
    this.tries = make("div", { class: "suggestions", role: "group", "aria-label": "Changes to try in B" });
    this.a = this.#column("A");
    this.b = this.#column("B");
    this.columns = [this.a, this.b];
    this.verdict = createVerdict();
    this.announcer = make("p", { class: "hidden", role: "status" });
    this.element = make(
      "section", { class: "compare", "aria-labelledby": this.head.titleId },
      this.head.element, this.tries,
      make("div", { class: "sides" }, this.a.element, this.verdict.element, this.b.element), this.announcer,
    );
    this.element.addEventListener("keydown", ({ key }) => { if (key === "Escape") this.stop(); });

    this.followed = sampling(parts.request());
    for (const { settings } of this.columns) settings.set(this.followed);
    this.#drawSettings();
    this.#drawHead();
    this.verdict.say("Give A and B different settings, then run both", "The prompt and the seed stay the same.");
  }

  async run() {
    if (this.running || !this.columns.every(({ settings }) => settings.check())) return;
    const request = this.parts.request();
    const seed = typeof request.seed === "number" ? request.seed : this.seed;
    this.running = new AbortController();
    this.found = { differing: this.#differing().map(({ name }) => name), common: 0, differs: false };
    this.verdict.say("Comparing", "");
    this.#drawHead();
    const { signal } = this.running;
    const isComplete = await Promise.all(this.columns.map((column) => this.#stream(column, { request, seed, signal })));
    this.running = null;
    this.#drawHead();
    if (isComplete.every(Boolean)) this.#conclude();
    else if (!this.found.differs) this.#say(soFar(this.found.common), "The answers aren't complete.");
  }

  stop() {
    this.running?.abort();
  }

  /** The page's own settings have changed: A takes those that it sets, if they are among them. */
  follow() {
    this.#drawHead();
    const values = sampling(this.parts.request());
    if (differing(this.parts.parameters, values, this.followed).length === 0) return;
    this.followed = values;
    this.a.settings.set(values);
    this.#settingsChanged();
  }

  /** @param {"A" | "B"} name */
  #column(name) {
    return createColumn(name, {
      declarations: this.parts.parameters,
      onChange: () => this.#settingsChanged(),
      onPick: (index) => this.#pick(index, name),
    });
  }

  /**
   * Whether the answer is complete.
   * @param {Column} column
   * @param {{request: Values, seed: number, signal: AbortSignal}} common
   */
  async #stream(column, { request, seed, signal }) {
    const { complete, context } = this.parts;
    column.begin();
    try {
      await complete(requestOf(request, { values: column.settings.get(), seed, context: context() }), {
        signal,
        onTraceRefused: () => {},
        onChunk: (chunk) => { column.add(chunk); this.#lookForDifference(); },
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

  #lookForDifference() {
    if (this.found.differs) return;
    const [a, b] = this.#traces();
    this.found.common = commonLength(a, b, this.found.common);
    this.found.differs = this.found.common < Math.min(a.length, b.length);
    if (this.found.differs) this.#showDifference();
    else this.verdict.say(soFar(this.found.common), "");
  }

  /** @returns {string | null} the explanation */
  #showDifference() {
    const [a, b] = this.#traces();
    const difference = firstDifference(a, b, this.found.differing);
    if (!difference) return null;
    const { index } = difference;
    this.verdict.showDifference(difference, a[index], b[index]);
    for (const column of this.columns) column.select(index);
    return difference.explanation;
  }

  #conclude() {
    const { length } = this.a.traces();
    const explanation = this.#showDifference();
    if (explanation) this.announcer.textContent = explanation;
    else if (length > 0) this.#say("Both answers are equal", `The settings changed none of the ${tokens(length)}.`);
    else this.#say("Nothing to compare", "There are no traces, so the page can't tell which step made a difference.");
  }

  /** Shows the token in both answers, as long as what came before it is equal. @param {number} index @param {"A" | "B"} name */
  #pick(index, name) {
    const [a, b] = this.#traces();
    const common = commonLength(a, b);
    if (index > common) return;
    (name === "A" ? this.b : this.a).select(index);
    if (index < common) this.verdict.showCommon(index, a[index], b[index]);
    else this.#showDifference();
  }

  #traces() {
    return this.columns.map((column) => column.traces());
  }

  #differing() {
    return differing(this.parts.parameters, this.a.settings.get(), this.b.settings.get());
  }

  #settingsChanged() {
    this.#drawSettings();
    if (this.running || this.a.traces().length === 0) return;
    this.verdict.say("The settings have changed since", "Run both again to compare them.");
  }

  #drawSettings() {
    const both = this.#differing();
    this.a.showDiffering(both.map(({ name, a }) => ({ name, value: a })));
    this.b.showDiffering(both.map(({ name, b }) => ({ name, value: b })));
    const suggested = tries(this.parts.parameters, this.a.settings.get());
    this.tries.replaceChildren(make("span", { class: "caption" }, "Try in B"), ...suggested.map((change) => this.#tryButton(change)));
  }

  /** @param {{label: string, values: Values}} change */
  #tryButton({ label, values }) {
    const isChosen = differing(this.parts.parameters, values, this.b.settings.get()).length === 0;
    const choose = () => {
      this.b.settings.set(values);
      this.#settingsChanged();
      // The buttons were made again.
      [...this.tries.querySelectorAll("button")].find(({ textContent }) => textContent === label)?.focus();
    };
    return make("button", { type: "button", class: "suggestion mono", "aria-pressed": String(isChosen), onclick: choose }, label);
  }

  #drawHead() {
    this.head.draw({ request: this.parts.request(), seed: this.seed, isRunning: this.running !== null });
  }

  /** @param {string} title @param {string} text */
  #say(title, text) {
    this.verdict.say(title, text);
    this.announcer.textContent = title;
  }
}

/** @param {number} count */
const tokens = (count) => `${count} ${count === 1 ? "token" : "tokens"}`;

/** @param {number} common */
const soFar = (common) => (common > 0 ? `The same so far: ${tokens(common)}` : "Nothing to compare yet");
