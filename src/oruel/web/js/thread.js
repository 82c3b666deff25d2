/** The conversation as elements. It is drawn once; streaming touches only the answer that grows. */

import { isSendKey } from "./composer.js";
import { AnswerView, copyButton } from "./answer.js";
import { button, make } from "./dom.js";
import { shownAnswer } from "./conversation.js";

/** @typedef {import("./conversation.js").Conversation} Conversation */
/** @typedef {import("./conversation.js").AnswerTurn} AnswerTurn */

/**
 * @typedef {object} ThreadActions `turn` is the index of a turn.
 * @property {(turn: number) => void} retry
 * @property {(turn: number, text: string) => void} edit
 * @property {(turn: number, version: number) => void} showVersion
 * @property {(turn: number, choice: number) => void} showTokens
 * @property {(turn: number, call: import("./conversation.js").Call) => import("./answer.js").CallCard} callCard
 * @property {(example: Example) => void} example
 */

/** @typedef {{prompt: string, values: Record<string, unknown>, settings: string, effect: string}} Example */

/** @type {Example[]} They suit the bundled model. */
const EXAMPLES = [
  {
    prompt: "Write a short poem about the sea.",
    values: { seed: 4 },
    settings: "temperature 0.7",
    effect: "The default: mostly likely tokens, now and then a surprise.",
  },
  {
    prompt: "Tell me a story about a fox.",
    values: { temperature: 1.4, min_p: 0.05, seed: 3 },
    settings: "temperature 1.4, min_p 0.05",
    effect: "Varied, while min_p keeps the improbable tokens out.",
  },
  {
    prompt: "Tell me a joke.",
    values: { temperature: 1.6, max_tokens: 60, seed: 2 },
    settings: "temperature 1.6",
    effect: "Too hot: find the token at which the joke falls apart.",
  },
];

/** How near to the end, in pixels, the reader has to be for the thread to follow the stream. */
const FOLLOW_WITHIN = 60;

export class Thread {
  /**
   * @param {HTMLElement} element scrolls
   * @param {ThreadActions} actions
   */
  constructor(element, actions) {
    this.element = element;
    this.actions = actions;
    /** @type {AnswerView | null} */
    this.growing = null;
    this.frame = 0;
  }

  /** @param {Conversation} conversation */
  show(conversation) {
    this.growing = null;
    this.element.replaceChildren(...conversation.turns.map((turn, index) => this.turn(turn, index)));
    if (!conversation.turns.length) this.element.append(this.welcome());
    this.scrollToEnd();
  }

  /**
   * Draws the turns from `index` on anew, and leaves those before it as they are.
   * @param {Conversation} conversation
   * @param {number} index
   */
  showFrom(conversation, index) {
    if (index === 0) this.element.replaceChildren();
    while (this.element.children.length > index) this.element.lastElementChild?.remove();
    for (const [offset, turn] of conversation.turns.slice(index).entries())
      this.element.append(this.turn(turn, index + offset));
    if (this.growing) this.scrollToEnd();
  }

  /** Shows, in the next frame, what the growing answer has gained. */
  grow() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      const follows = this.isAtEnd();
      this.growing?.update();
      if (follows) this.scrollToEnd();
    });
  }

  finish() {
    const follows = this.isAtEnd();
    this.growing?.finish();
    this.growing = null;
    if (follows) this.scrollToEnd();
  }

  isAtEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.element;
    return scrollHeight - scrollTop - clientHeight < FOLLOW_WITHIN;
  }

  scrollToEnd() {
    this.element.scrollTop = this.element.scrollHeight;
  }

  /**
   * @param {import("./conversation.js").Turn} turn
   * @param {number} index
   */
  turn(turn, index) {
    if (turn.role === "user") return this.userTurn(turn.content, index);
    // The card of the call shows its result.
    if (turn.role === "tool") return make("div", { hidden: true });
    return this.answerTurn(turn, index);
  }

  /**
   * @param {AnswerTurn} turn
   * @param {number} index
   */
  answerTurn(turn, index) {
    const answer = shownAnswer(turn);
    const view = new AnswerView(
      answer,
      { number: turn.shown, of: turn.answers.length },
      {
        retry: () => this.actions.retry(index),
        showVersion: (version) => this.actions.showVersion(index, version),
        showTokens: (choice) => this.actions.showTokens(index, choice),
        callCard: (call) => this.actions.callCard(index, call),
      },
    );
    if (answer.ended === null) this.growing = view;
    return view.element;
  }

  /**
   * @param {string} text
   * @param {number} index
   */
  userTurn(text, index) {
    const bubble = make("div", { class: "text" }, text);
    const acts = make(
      "div",
      { class: "acts" },
      copyButton("Copy", () => text),
      button({
        label: "Edit and send again",
        icon: "edit",
        text: "Edit",
        onclick: () => this.edit(element, text, index),
      }),
    );
    const element = make("article", { class: "turn user", "aria-label": "Prompt" }, bubble, acts);
    return element;
  }

  /**
   * @param {HTMLElement} element
   * @param {string} text
   * @param {number} index
   */
  edit(element, text, index) {
    const before = [...element.childNodes];
    const cancel = () => element.replaceChildren(...before);
    const field = make("textarea", { rows: 2, "aria-label": "Edit the prompt" });
    field.value = text;
    const send = () => field.value.trim() && this.actions.edit(index, field.value);
    field.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        event.preventDefault();
        cancel();
      } else if (isSendKey(event)) {
        event.preventDefault();
        send();
      }
    });
    element.replaceChildren(
      make(
        "div",
        { class: "editor" },
        field,
        make(
          "div",
          { class: "buttons" },
          make("button", { type: "button", class: "quiet", onclick: cancel }, "Cancel"),
          make("button", { type: "button", class: "solid", onclick: send }, "Send"),
        ),
      ),
    );
    field.focus();
  }

  welcome() {
    return make(
      "div",
      { class: "welcome" },
      make("h2", {}, "See every parameter act"),
      make(
        "p",
        {},
        "At each step, a language model rates every token that it knows. This page shows the leading ones, what each parameter did to them, and the draw that chose one.",
      ),
      make(
        "ol",
        { class: "steps" },
        make("li", {}, "Send a prompt"),
        make("li", {}, "Pick a token of the reply"),
        make("li", {}, "Move a slider, and watch the odds change"),
      ),
      make(
        "ul",
        { class: "examples" },
        ...EXAMPLES.map((example) =>
          make(
            "li",
            {},
            make(
              "button",
              { type: "button", class: "example", onclick: () => this.actions.example(example) },
              make("strong", {}, example.prompt),
              make("code", {}, example.settings),
              make("span", {}, example.effect),
            ),
          ),
        ),
      ),
    );
  }
}
