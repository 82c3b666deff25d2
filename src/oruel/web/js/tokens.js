/**
 * A reply as a strip of tokens, coloured by surprise. Tokens are only ever appended. One of them is in the tab order;
 * arrow keys move to the others and pick them.
 */

import { make } from "./dom.js";
import { percent, spoken, visible } from "./token_text.js";
import { isExplained, surprise } from "./token_trace.js";

/** @typedef {import("./token_trace.js").TraceEntry} TraceEntry */

/** Where each colour after the first begins, in bits. */
const SURPRISES = [0.5, 1, 2, 4, 7, 11];
/** The most tokens that are appended before the browser draws a frame. */
const SLICE = 200;
/** A longer run of tokens without white space may break between lines. */
const WORD_LENGTH = 24;
/** Scripts that break between any two characters. */
const UNSPACED = /^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]/u;

/**
 * `onPick` is called with the index and the trace entry of a token that the user picks. `select` marks a token without
 * calling it; −1 marks none.
 * @param {{onPick: (index: number, entry: TraceEntry) => void}} handlers
 */
export function createTokenStrip({ onPick }) {
  const text = make("div", { class: "token-text", role: "toolbar", "aria-label": "Tokens of the reply" });
  /** @type {HTMLButtonElement[]} */
  let buttons = [];
  /** @type {TraceEntry[]} */
  let entries = [];
  let selected = -1;
  let append = wordByWord(text);

  /** Appends a slice of the entries that have no button yet, and leaves the others to the next frame. */
  function appendSlice() {
    const end = Math.min(entries.length, buttons.length + SLICE);
    for (let index = buttons.length; index < end; index += 1) {
      const button = tokenButton(entries[index], index);
      append(button, entries[index].token);
      buttons.push(button);
    }
    if (end < entries.length) requestAnimationFrame(appendSlice);
  }

  /** @param {number} index */
  function select(index) {
    while (index >= buttons.length && index < entries.length) appendSlice();
    buttons[selected]?.setAttribute("aria-pressed", "false");
    buttons[index]?.setAttribute("aria-pressed", "true");
    selected = index in buttons ? index : -1;
    moveTabStop(Math.max(0, selected));
  }

  /** @param {number} index */
  function moveTabStop(index) {
    text.querySelector('[tabindex="0"]')?.setAttribute("tabindex", "-1");
    buttons[index]?.setAttribute("tabindex", "0");
  }

  /** @param {number} index */
  function pick(index) {
    select(index);
    buttons[index].focus();
    onPick(index, entries[index]);
  }

  text.addEventListener("click", ({ target }) => {
    const index = indexOf(target);
    if (index !== null) pick(index);
  });
  text.addEventListener("keydown", (event) => {
    const from = indexOf(event.target);
    if (from === null || event.ctrlKey || event.metaKey || event.altKey) return;
    const to = destination(event.key, from, buttons);
    if (to === null) return;
    event.preventDefault();
    if (to !== from) pick(to);
  });

  return {
    element: make("div", { class: "token-strip" }, text, legend()),
    /** @param {TraceEntry[]} added */
    add(added) {
      const isWaiting = buttons.length < entries.length;
      entries.push(...added);
      if (isWaiting) return;
      const isFirst = buttons.length === 0;
      appendSlice();
      if (isFirst) moveTabStop(0);
    },
    clear() {
      text.replaceChildren();
      buttons = [];
      entries = [];
      selected = -1;
      append = wordByWord(text);
    },
    select,
  };
}

/**
 * @param {TraceEntry} entry
 * @param {number} index
 */
function tokenButton(entry, index) {
  const { text, kind } = visible(entry);
  const bits = isExplained(entry) ? surprise(entry) : null;
  const likelihood = bits === null ? "" : ` probability ${percent(2 ** -bits)},`;
  const attributes = {
    type: "button",
    class: "token",
    tabindex: "-1",
    "aria-pressed": "false",
    "aria-label": `token ${spoken(entry)},${likelihood} ${entry.source}`,
    "data-index": index,
    "data-kind": kind,
    "data-source": entry.source,
    "data-surprise": bits === null ? null : SURPRISES.filter((least) => bits >= least).length,
  };
  return make("button", attributes, text);
}

/**
 * Appends tokens so that lines break at white space and not within words.
 * @param {HTMLElement} text
 * @returns {(button: HTMLElement, token: string) => void}
 */
function wordByWord(text) {
  let line = text.appendChild(make("div", { class: "token-line" }));
  /** @type {HTMLElement | null} */
  let word = null;
  let length = 0;
  return (button, token) => {
    if (word === null || /^\s/u.test(token) || UNSPACED.test(token) || length + token.length > WORD_LENGTH) {
      word = line.appendChild(make("span", { class: "token-word" }));
      length = 0;
    }
    word.append(button);
    length += token.length;
    const breaks = token.split("\n").length - 1;
    for (let made = 0; made < breaks; made += 1) line = text.appendChild(make("div", { class: "token-line" }));
    if (breaks > 0) word = null;
  };
}

/** @param {EventTarget | null} target */
function indexOf(target) {
  const button = target instanceof Element ? target.closest(".token") : null;
  return button instanceof HTMLElement ? Number(button.dataset.index) : null;
}

/**
 * Where a key leads from a token; null if the key means nothing here.
 * @param {string} key
 * @param {number} from
 * @param {HTMLElement[]} buttons
 * @returns {number | null}
 */
function destination(key, from, buttons) {
  switch (key) {
    case "ArrowLeft":
      return Math.max(0, from - 1);
    case "ArrowRight":
      return Math.min(buttons.length - 1, from + 1);
    case "ArrowUp":
      return inNextRow(from, -1, buttons);
    case "ArrowDown":
      return inNextRow(from, 1, buttons);
    case "Home":
      return 0;
    case "End":
      return buttons.length - 1;
    default:
      return null;
  }
}

/**
 * The nearest token of the row above (−1) or below (1), or the same one if there is no such row.
 * @param {number} from
 * @param {-1 | 1} direction
 * @param {HTMLElement[]} buttons
 */
function inNextRow(from, direction, buttons) {
  const start = middle(buttons[from]);
  const isBeyond = (/** @type {number} */ y, /** @type {number} */ row) => Math.abs(y - row) > start.height / 2;
  let [best, distance, row] = [from, Infinity, start.y];
  for (let index = from + direction; index in buttons; index += direction) {
    const { x, y } = middle(buttons[index]);
    if (!isBeyond(y, start.y)) continue;
    if (row !== start.y && isBeyond(y, row)) break;
    row = y;
    if (Math.abs(x - start.x) < distance) [best, distance] = [index, Math.abs(x - start.x)];
  }
  return best;
}

/** @param {HTMLElement} button */
function middle(button) {
  const { left, top, width, height } = button.getBoundingClientRect();
  return { x: left + width / 2, y: top + height / 2, height };
}

function legend() {
  const swatches = [0, ...SURPRISES].map((bits, level) =>
    make("span", { class: "swatch", "data-surprise": level, title: `${bits} bits or more` }),
  );
  return make(
    "p",
    { class: "token-legend", "aria-hidden": "true" },
    make("span", {}, "expected"),
    make("span", { class: "swatches" }, ...swatches),
    make("span", {}, "surprising"),
    make("span", { class: "token-legend-forced" }, "forced"),
  );
}
