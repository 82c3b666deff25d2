/** Why two answers differ: the sentence, and the two draws one above the other. */

import { make } from "./dom.js";
import { createDrawLine } from "./draw_line.js";
import { ORDER } from "./token_trace.js";
import { spoken, visible } from "./token_text.js";
import { recorded } from "./token_trace.js";

/** @typedef {import("./token_trace.js").TokenTrace} TokenTrace */
/** @typedef {import("./difference.js").Difference} Difference */

/** Tokens in quotation marks, and names of parameters. */
const CODE = new RegExp(`"(?:[^"\\\\]|\\\\.)*"|\\b(?:${ORDER.join("|")}|max_tokens)\\b`, "g");

/** @type {Record<TokenTrace["source"], string>} */
const SOURCES = {
  drawn: "was drawn",
  greedy: "is the most probable token, which the settings always take",
  forced: "is the only token that the schema or the call allows",
  closing: "completes the document before the budget runs out",
};

export function createVerdict() {
  const heading = make("h3", {});
  const sentence = make("p", { class: "verdict-why" });
  const [a, b] = [createDrawOf("A"), createDrawOf("B")];
  const draws = make("div", { class: "verdict-draws", hidden: true }, a.element, b.element);
  const element = make("section", { class: "verdict", "aria-label": "The first difference" }, heading, sentence, draws);

  /** @param {string} title @param {string} text */
  function say(title, text) {
    heading.textContent = title;
    sentence.replaceChildren(...withCode(text));
    sentence.hidden = !text;
    draws.hidden = true;
    delete element.dataset.state;
  }

  /** @param {TokenTrace | undefined} traceA @param {TokenTrace | undefined} traceB */
  function draw(traceA, traceB) {
    draws.hidden = false;
    a.show(traceA);
    b.show(traceB);
  }

  return {
    element,
    say,
    /** @param {Difference} difference @param {TokenTrace | undefined} traceA @param {TokenTrace | undefined} traceB */
    showDifference({ index, explanation }, traceA, traceB) {
      say(`First difference at token ${index + 1}`, explanation);
      element.dataset.state = "differs";
      draw(traceA, traceB);
    },
    /** A token that both answers have. @param {number} index @param {TokenTrace} traceA @param {TokenTrace} traceB */
    showCommon(index, traceA, traceB) {
      say(`Token ${index + 1} is the same`, "");
      draw(traceA, traceB);
    },
  };
}

/** The sentence with its tokens and parameters set as code, which doesn't break at a space. @param {string} text */
function withCode(text) {
  const words = text.split(CODE);
  const code = [...text.matchAll(CODE)].map(([found]) => make("code", {}, found.replaceAll(" ", "\u00a0")));
  return words.flatMap((word, place) => [word, ...code.slice(place, place + 1)]);
}

/** How one side chose its token. @param {"A" | "B"} name */
function createDrawOf(name) {
  const line = createDrawLine();
  const token = make("code", { class: "chip" });
  const words = make("span", {});
  const title = make("p", { class: "draw-title" }, make("span", { class: "side-name" }, name), token, words);
  return {
    element: make("div", { class: "draw-of", "data-side": name }, title, line.element),
    /** @param {TokenTrace | undefined} trace */
    show(trace) {
      token.hidden = trace === undefined;
      line.element.hidden = trace === undefined;
      if (trace === undefined) {
        words.textContent = "has ended";
        return;
      }
      const { text, kind } = visible(trace);
      token.textContent = text;
      token.dataset.kind = kind;
      token.setAttribute("aria-label", spoken(trace));
      words.textContent = SOURCES[trace.source];
      line.show(trace, recorded(trace), false);
    },
  };
}
