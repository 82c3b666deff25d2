/** One side of a comparison: its settings, and its answer as tokens. */

import { ApiError } from "./api.js";
import { compared } from "./comparison_request.js";
import { controlFor } from "./controls.js";
import { make } from "./dom.js";
import { problemOf, uniqueId } from "./fields.js";
import { createTokenStrip } from "./tokens.js";

/** @typedef {import("./controls.js").Declaration} Declaration */
/** @typedef {import("./comparison_request.js").Values} Values */
/** @typedef {import("./token_trace.js").TokenTrace} TokenTrace */

/** @type {Record<string, string>} */
const ENDINGS = {
  stop: "complete",
  length: "cut off by max_tokens",
  tool_calls: "ends with a tool call",
  content_filter: "cut off by a content filter",
};

/**
 * @param {"A" | "B"} name
 * @param {{declarations: readonly Declaration[], onChange: () => void, onPick: (index: number) => void}} options
 */
export function createColumn(name, { declarations, onChange, onPick }) {
  const settings = createSettings(name, declarations, onChange);
  const chips = make("ul", { class: "differing", "aria-label": `Differing parameters of ${name}` });
  const strip = createTokenStrip({ onPick });
  const text = make("div", { class: "untraced" });
  const facts = make("p", { class: "side-facts" });
  const failure = make("div", { class: "problem", role: "alert", hidden: true });
  const reply = make("div", { class: "side-reply" }, strip.element, text);
  const head = make(
    "div", { class: "side-head" }, make("h3", {}, make("span", { class: "side-name" }, name)), chips, settings.element,
  );
  const body = make("div", { class: "side-body", "data-state": "empty" }, failure, reply, facts);
  /** @type {TokenTrace[]} */
  let traces = [];
  let finish = "";

  /** @param {string} state */
  function draw(state) {
    body.dataset.state = state;
    const count = `${traces.length} ${traces.length === 1 ? "token" : "tokens"}`;
    facts.textContent = state === "empty" ? "" : [traces.length ? count : "", finish].filter(Boolean).join(" · ");
  }

  return {
    element: make("article", { class: "side", "data-side": name, "aria-label": `Answer ${name}` }, head, body),
    settings,
    traces: () => traces,
    /** @param {Array<{name: string, value: string}>} differing */
    showDiffering(differing) {
      const items = differing.map(({ name: parameter, value }) => make("li", {}, parameter, " ", make("strong", {}, value)));
      chips.replaceChildren(...items);
    },
    begin() {
      traces = [];
      finish = "";
      strip.clear();
      text.textContent = "";
      failure.hidden = true;
      draw("streaming");
    },
    /** @param {any} chunk */
    add(chunk) {
      for (const { index, delta, trace, finish_reason: reason } of chunk.choices) {
        if (index !== 0) continue;
        if (reason) finish = ENDINGS[reason] ?? reason;
        if (trace?.length) {
          traces.push(...trace);
          strip.add(trace);
        } else if (traces.length === 0 && delta.content) {
          text.append(delta.content);
        }
      }
      draw("streaming");
    },
    stop() {
      finish = "stopped by you";
      draw("ended");
    },
    end: () => draw("ended"),
    /** @param {ApiError} error */
    fail({ message, param, requestId }) {
      const where = [param && `parameter ${param}`, requestId && `request ${requestId}`].filter(Boolean).join(" · ");
      failure.replaceChildren(make("strong", {}, "The request failed. "), message, make("small", {}, where));
      failure.hidden = false;
      draw("ended");
    },
    /** Marks a token, and scrolls to it within the reply. @param {number} index */
    select(index) {
      strip.select(index);
      const token = reply.querySelector('[aria-pressed="true"]');
      if (!token) return;
      const [view, place] = [reply.getBoundingClientRect(), token.getBoundingClientRect()];
      if (place.top < view.top || place.bottom > view.bottom) reply.scrollTop += place.top - view.top - view.height / 3;
    },
  };
}

/**
 * The controls of the parameters that a side sets for itself.
 * @param {string} side
 * @param {readonly Declaration[]} declarations
 * @param {() => void} onChange
 */
function createSettings(side, declarations, onChange) {
  const rows = compared(declarations).flatMap((declaration) => {
    const maker = controlFor(declaration);
    if (!maker) return [];
    const labelId = uniqueId("compared");
    const control = maker(declaration, labelId, () => { problem.show(null); onChange(); });
    const problem = problemOf(control.target());
    const head = make("div", { class: "row-head" }, make("span", { class: "name", id: labelId }, declaration.name), control.head);
    const element = make("div", { class: "row" }, head, control.body, problem.element);
    return [{ name: declaration.name, control, problem, element }];
  });
  const details = make(
    "details", { class: "side-settings" },
    make("summary", {}, "Settings", make("span", { class: "hidden" }, ` of ${side}`)), make("div", { class: "side-rows" }, ...rows.map(({ element }) => element)),
  );
  return {
    element: details,
    /** @returns {Values} */
    get: () => {
      const entries = rows.map(({ name, control }) => [name, control.get()]);
      return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
    },
    /** @param {Values} values */
    set: (values) => {
      for (const { name, control, problem } of rows) {
        control.set(values[name]);
        problem.show(null);
      }
    },
    /** Whether all can be sent. Shows what can't beside its control. */
    check: () => {
      const bad = rows.filter(({ control, problem }) => {
        const message = control.problem();
        problem.show(message);
        return message !== null;
      });
      if (bad.length > 0) details.open = true;
      return bad.length === 0;
    },
  };
}
