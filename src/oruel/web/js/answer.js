/** One answer of the conversation as elements. Streamed text is appended once a frame, never drawn again. */

import { button, make } from "./dom.js";
import { tokensPerSecond } from "./conversation.js";

/** @typedef {import("./conversation.js").Answer} Answer */
/** @typedef {import("./conversation.js").Call} Call */
/** @typedef {import("./conversation.js").Choice} Choice */
/** @typedef {{element: HTMLElement, update: (call: Call) => void}} CallCard */

/**
 * @typedef {object} AnswerActions
 * @property {() => void} retry
 * @property {(version: number) => void} showVersion
 * @property {(choice: number) => void} showTokens also makes the conversation go on with this choice
 * @property {(call: Call) => CallCard} callCard
 */

/** A text that grows at its end. */
class GrowingText {
  /** @param {HTMLElement} element */
  constructor(element) {
    this.node = document.createTextNode("");
    this.element = element;
  }

  /** @param {string} text what was shown before, and more */
  grow(text) {
    if (text.length === this.node.length) return;
    if (!this.node.parentNode) this.element.append(this.node);
    this.node.appendData(text.slice(this.node.length));
  }
}

/** The elements of one choice. */
class ChoiceView {
  /**
   * @param {number} index
   * @param {AnswerActions} actions
   */
  constructor(index, actions) {
    this.actions = actions;
    this.index = index;
    this.acts = make("span", { class: "acts" });
    this.heading = make("div", { class: "reply-head", hidden: true }, make("h3", {}, `Choice ${index + 1}`), this.acts);
    this.thoughts = make("div", { class: "thoughts" });
    this.reasoning = make(
      "details",
      { class: "reasoning", hidden: true, open: true },
      make("summary", {}, "Reasoning"),
      this.thoughts,
    );
    this.text = make("div", { class: "text" });
    this.calls = make("div", { class: "calls" });
    /** @type {CallCard[]} */
    this.cards = [];
    this.element = make("div", { class: "reply" }, this.heading, this.reasoning, this.text, this.calls);
    this.grownText = new GrowingText(this.text);
    this.grownThoughts = new GrowingText(this.thoughts);
  }

  /** @param {Choice} choice */
  update({ content, reasoning, calls }) {
    this.reasoning.hidden = !reasoning;
    this.grownThoughts.grow(reasoning);
    this.grownText.grow(content);
    this.text.hidden = !content && calls.length > 0;
    for (const [index, call] of calls.entries()) {
      if (index in this.cards) {
        this.cards[index].update(call);
      } else {
        this.cards[index] = this.actions.callCard(call);
        this.calls.append(this.cards[index].element);
      }
    }
  }
}

/** The elements of an answer: its choices, what is known about it, and what can be done with it. */
export class AnswerView {
  /**
   * @param {Answer} answer
   * @param {{number: number, of: number}} version
   * @param {AnswerActions} actions
   */
  constructor(answer, version, actions) {
    this.answer = answer;
    this.actions = actions;
    /** @type {ChoiceView[]} */
    this.choices = [];
    this.body = make("div", { class: "choices" });
    this.foot = make("div");
    this.element = make("article", { class: "turn assistant", "aria-label": "Answer" }, this.body, this.foot);
    this.version = version;
    this.update();
    if (answer.ended === null) this.element.setAttribute("data-streaming", "");
    else this.finish();
  }

  /** Shows what the answer has gained. */
  update() {
    const wanted = Math.max(1, this.answer.choices.length);
    while (this.choices.length < wanted) {
      const view = new ChoiceView(this.choices.length, this.actions);
      this.choices.push(view);
      this.body.append(view.element);
    }
    for (const [index, choice] of this.answer.choices.entries()) this.choices[index].update(choice);
    for (const view of this.choices) view.heading.hidden = this.choices.length === 1;
  }

  finish() {
    this.update();
    this.element.removeAttribute("data-streaming");
    const { answer } = this;
    const hasText = answer.choices.some((choice) => choice.content || choice.calls.length || choice.reasoning);
    this.body.hidden = !hasText && answer.problem !== null;
    this.foot.replaceChildren(
      ...(answer.problem ? [problemBox(answer.problem)] : []),
      ...(answer.receipt ? [facts(answer)] : []),
      this.acts(),
    );
  }

  acts() {
    const { answer, actions, version } = this;
    const element = make("div", { class: "acts" });
    if (version.of > 1) element.append(versions(version, actions));
    element.append(button({ label: "Retry", icon: "retry", text: "Retry", onclick: actions.retry }));
    // The acts of a single choice stand beside the others.
    const [first] = answer.choices;
    if (answer.choices.length === 1) element.append(...choiceActs(first, 0, actions));
    for (const view of answer.choices.length > 1 ? this.choices : []) {
      view.acts.replaceChildren(...choiceActs(answer.choices[view.index], view.index, actions));
    }
    return element;
  }
}

/**
 * @param {Choice} choice
 * @param {number} index
 * @param {AnswerActions} actions
 */
function choiceActs({ content, trace }, index, actions) {
  const label = "Show how the tokens were chosen";
  const show = () => actions.showTokens(index);
  return [
    ...(content ? [copyButton("Copy", () => content)] : []),
    ...(trace.length ? [button({ label, icon: "tokens", text: "Tokens", onclick: show })] : []),
  ];
}

/**
 * @param {{number: number, of: number}} version
 * @param {AnswerActions} actions
 */
function versions({ number, of }, actions) {
  const earlier = button({
    label: "The version before",
    icon: "earlier",
    onclick: () => actions.showVersion(number - 1),
  });
  const later = button({ label: "The next version", icon: "later", onclick: () => actions.showVersion(number + 1) });
  earlier.disabled = number === 0;
  later.disabled = number === of - 1;
  return make("span", { class: "versions" }, earlier, `${number + 1} of ${of}`, later);
}

/**
 * A button that copies a text, and says that it did.
 * @param {string} text
 * @param {() => string} content
 */
export function copyButton(text, content) {
  const copy = button({
    label: text,
    icon: "copy",
    text,
    onclick: async () => {
      sayIn(copy, await copied(content()));
    },
  });
  return copy;
}

/**
 * Puts a text on the clipboard, and returns what to say about it. Browsers allow this to pages from this machine and
 * over HTTPS only.
 * @param {string} text
 */
export async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return "Copied";
  } catch {
    return "The browser refused";
  }
}

/**
 * A button's text says something else for a moment.
 * @param {HTMLElement} element
 * @param {string} said
 */
export function sayIn(element, said) {
  const label = element.lastElementChild;
  if (!label) return;
  element.dataset.text ??= label.textContent ?? "";
  label.textContent = said;
  setTimeout(() => {
    label.textContent = element.dataset.text ?? "";
  }, 1600);
}

/** @param {import("./conversation.js").Problem} problem */
function problemBox({ message, param, requestId }) {
  const where = [param ? `parameter ${param}` : "", requestId ? `request ${requestId}` : ""]
    .filter(Boolean)
    .join(" · ");
  return make(
    "div",
    { class: "problem", role: "alert" },
    make("strong", {}, "The request failed. "),
    message,
    where ? make("small", {}, where) : null,
  );
}

/** @param {Answer} answer */
function facts(answer) {
  const { receipt, usage, tier, stopped, branch } = answer;
  const rate = tokensPerSecond(answer);
  const wait = answer.first === null ? null : answer.first - answer.started;
  const cached = /** @type {any} */ (usage)?.prompt_tokens_details?.cached_tokens;
  /** @type {[string, string | null | undefined][]} */
  const entries = [
    ["request", receipt?.requestId],
    ["tier", tier],
    ["prompt", usage && `${count(usage.prompt_tokens)} tokens${cached ? `, ${count(cached)} cached` : ""}`],
    ["reply", usage && `${count(usage.completion_tokens)} tokens`],
    ["cost", usage?.cost === undefined ? null : costText(usage.cost)],
    ["speed", rate === null ? null : `${count(Math.round(rate))} tokens/s`],
    ["first token", wait === null ? null : `${(wait / 1000).toFixed(2)} s`],
    ["seed", answer.values.seed === undefined ? null : String(answer.values.seed)],
    [
      "end",
      stopped
        ? "stopped by you"
        : answer.choices
            .map((choice) => choice.finish)
            .filter(Boolean)
            .join(", "),
    ],
    ["branch", branch && `token ${branch.at + 1}: “${branch.to}” in place of “${branch.from}”`],
    ["not enforced", receipt?.differs],
  ];
  return make(
    "dl",
    { class: "facts" },
    ...entries
      .filter(([, value]) => value)
      .map(([name, value]) =>
        make("div", {}, make("dt", {}, name), make("dd", {}, name === "request" ? make("code", {}, value) : value)),
      ),
  );
}

/** @param {number} number */
function count(number) {
  return number.toLocaleString("en");
}

/** @param {unknown} cost */
function costText(cost) {
  return typeof cost === "object" ? JSON.stringify(cost) : String(cost);
}
