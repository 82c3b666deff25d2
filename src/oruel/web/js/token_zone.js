/** The zone below the conversation: the reply as tokens, and the inspector of the one that is picked. */

import { button, make } from "./dom.js";
import { createInspector } from "./inspector.js";
import { createTokenStrip } from "./tokens.js";

/** @typedef {import("./sampling.js").Settings} Settings */
/** @typedef {import("./sampling.js").TokenTrace} TokenTrace */
/** @typedef {import("./sampling.js").Candidate} Candidate */

const NARROW = matchMedia("(max-width: 800px)");
const TELLING_BITS = 2.5,
  TELLING_AMONG = 60;
const FIRST_SHARE = 46,
  LEAST_SHARE = 20,
  MOST_SHARE = 70,
  KEY_STEP = 3;

export class TokenZone {
  /**
   * @param {HTMLElement} element
   * @param {{onBranch: (at: number, candidate: Candidate) => void, current: () => Settings}} options
   */
  constructor(element, { onBranch, current }) {
    this.element = element;
    /** The settings of the panel. */
    this.current = current;
    this.isPicked = false;
    this.strip = createTokenStrip({
      onPick: (index) => {
        this.isPicked = true;
        this.inspect(index);
      },
    });
    this.inspector = createInspector({ onBranch });
    /** @type {TokenTrace[]} */
    this.traces = [];
    this.drawn = 0;
    this.frame = 0;
    /** @type {Settings | null} */
    this.settings = null;
    this.count = make("span", { class: "count" });
    const hint = make("span", { class: "hint" }, "Pick a token, then move a slider: the odds change at once.");
    this.left = make("div", { class: "strip" }, this.strip.element);
    this.body = make(
      "div",
      { class: "token-columns", id: "token-columns" },
      this.left,
      make("div", { class: "inspect" }, this.inspector.element),
    );
    this.fold = button({ label: "Hide the tokens", text: "Hide", onclick: () => this.setFolded(!this.body.hidden) });
    this.fold.setAttribute("aria-controls", this.body.id);
    element.replaceChildren(
      heightHandle(element),
      make("div", { class: "token-head" }, make("h2", {}, "Tokens"), this.count, hint, this.fold),
      this.body,
    );
    this.setFolded(NARROW.matches);
  }

  /** Begins another reply. @param {Settings} settings of its request */
  begin(settings) {
    this.clear();
    this.settings = settings;
  }

  clear() {
    this.strip.clear();
    this.inspector.clear();
    [this.traces, this.drawn] = [[], 0];
    this.settings = null;
    this.isPicked = false;
    this.element.hidden = true;
  }

  /** Shows the tokens of the reply, in the next frame. @param {TokenTrace[]} traces all so far; it may grow */
  show(traces) {
    this.traces = traces;
    if (traces.length > this.drawn) this.frame ||= requestAnimationFrame(() => this.flush());
  }

  flush() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    if (this.traces.length === this.drawn) return;
    this.element.hidden = false;
    this.strip.add(this.traces.slice(this.drawn));
    this.drawn = this.traces.length;
    this.count.textContent = `${this.drawn}`;
    this.left.scrollTop = this.left.scrollHeight;
  }

  /** The reply is complete: picks a token, unless the person did. @param {number} [branched] where it branched */
  finish(branched) {
    this.flush();
    const index = branched !== undefined && branched in this.traces ? branched : telling(this.traces);
    if (index < 0 || this.isPicked) return;
    this.strip.select(index);
    this.inspect(index);
    this.left.scrollTop = 0;
  }

  /** @param {number} index */
  inspect(index) {
    if (!this.settings) return;
    this.inspector.show(this.traces[index], this.settings, index);
    this.preview();
  }

  /** Shows the picked token under the settings of the panel; with those of the request, as it was. */
  preview() {
    this.inspector.preview(this.current());
  }

  /** @param {boolean} isFolded */
  setFolded(isFolded) {
    this.body.hidden = isFolded;
    this.element.toggleAttribute("data-folded", isFolded);
    this.fold.setAttribute("aria-expanded", String(!isFolded));
    this.fold.title = isFolded ? "Show the tokens" : "Hide the tokens";
    this.fold.replaceChildren(isFolded ? "Show" : "Hide");
  }
}

/**
 * The index of a drawn word near the beginning that had a few good alternatives, if there is one.
 * @param {TokenTrace[]} traces
 */
function telling(traces) {
  const distances = traces.slice(0, TELLING_AMONG).map(({ source, token, entropy }) => {
    const isWord = /\p{L}{3}/u.test(token);
    return source === "drawn" && isWord ? Math.abs(entropy.after - TELLING_BITS) : Infinity;
  });
  const index = distances.indexOf(Math.min(...distances));
  return traces.length && distances[index] === Infinity ? 0 : index;
}

/**
 * The upper edge, which sets the zone's height: a share of the page's, in percent.
 * @param {HTMLElement} zone
 */
function heightHandle(zone) {
  const handle = make("div", {
    class: "handle",
    role: "separator",
    tabindex: 0,
    "aria-label": "Height of the tokens",
    "aria-orientation": "horizontal",
    "aria-valuemin": LEAST_SHARE,
    "aria-valuemax": MOST_SHARE,
  });
  let share = 0;
  /** @param {number} wanted */
  const resize = (wanted) => {
    share = Math.round(Math.min(MOST_SHARE, Math.max(LEAST_SHARE, wanted)));
    zone.style.setProperty("--tokens-height", `${share}vh`);
    handle.setAttribute("aria-valuenow", String(share));
  };
  handle.addEventListener("pointerdown", (event) => {
    handle.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  handle.addEventListener("pointermove", (event) => {
    if (handle.hasPointerCapture(event.pointerId)) resize((1 - event.clientY / innerHeight) * 100);
  });
  handle.addEventListener("keydown", (event) => {
    const step = { ArrowUp: KEY_STEP, ArrowDown: -KEY_STEP }[event.key];
    if (!step) return;
    event.preventDefault();
    resize(share + step);
  });
  resize(FIRST_SHARE);
  return handle;
}
