/**
 * How one token was chosen: in words, in numbers, as candidates through the steps, and as a point on the line of the
 * draw. `preview` shows the same token under other settings, without a request, with the changes marked.
 */

import { createCandidateTable } from "./candidates.js";
import { createDrawLine } from "./draw_line.js";
import { make } from "./dom.js";
import { redistribute } from "./sampling.js";
import { decimal, percent, quantity, visible } from "./token_text.js";
import { isExplained, recorded, surprise } from "./token_trace.js";

/** @typedef {import("./token_trace.js").Candidate} Candidate */
/** @typedef {import("./token_trace.js").Distribution} Distribution */
/** @typedef {import("./sampling.js").Settings} Settings */
/** @typedef {import("./token_trace.js").TokenTrace} TokenTrace */
/** @typedef {import("./token_trace.js").TraceEntry} TraceEntry */
/** @typedef {{index: number, trace: TokenTrace, settings: Settings}} Shown */

const GREEDY = "Taken without a draw: the settings leave only the most probable token.";
const FORCED = "Forced: the schema or the tool call allows no other token here.";
const PREFIX = "Given, not chosen: the answer continues an earlier one from here.";
const CLOSING = "Closing: the remaining budget requires that the document ends now.";

/**
 * `onBranch` is called with the token's index and the candidate from which the conversation shall go on.
 * @param {{onBranch: (index: number, candidate: Candidate) => void}} handlers
 */
export function createInspector({ onBranch }) {
  const title = make("h3", { class: "inspector-title" });
  const words = make("p", { class: "inspector-words" });
  const changes = make("p", { class: "inspector-changes", role: "status" });
  const facts = make("dl", { class: "inspector-facts" });
  const line = createDrawLine();
  /** @type {Shown | null} */
  let shown = null;
  const table = createCandidateTable({ onChoose: (candidate) => shown && onBranch(shown.index, candidate) });
  const hint = make("p", { class: "inspector-hint" }, "Pick a token to see how it was chosen.");
  const figures = make("div", {}, changes, facts, line.element, table.element);
  const body = make("div", { class: "inspector-body" }, title, words, figures);
  body.hidden = true;

  /**
   * @param {Shown} token
   * @param {Distribution} distribution
   * @param {{settings: Settings, before: Distribution | null, fresh: boolean}} context
   */
  function draw({ trace }, distribution, context) {
    facts.replaceChildren(...factsOf(trace, distribution, context.before));
    line.show(trace, distribution, context.before !== null);
    table.show(distribution, { generated: trace.id, ...context });
  }

  return {
    element: make("section", { class: "inspector", "aria-label": "How the token was chosen" }, hint, body),
    /**
     * @param {TraceEntry} entry
     * @param {Settings} settings  those of the request
     * @param {number} index  of the token in its reply
     */
    show(entry, settings, index) {
      hint.hidden = true;
      body.hidden = false;
      const { text, kind } = visible(entry);
      title.replaceChildren(make("span", { class: "chip", "data-kind": kind }, text), ` token ${index + 1}, id ${entry.id}`);
      words.textContent = isExplained(entry) ? explanation(entry) : PREFIX;
      changes.textContent = "";
      figures.hidden = !isExplained(entry);
      shown = isExplained(entry) ? { index, trace: entry, settings } : null;
      if (shown) draw(shown, recorded(shown.trace), { settings, before: null, fresh: true });
    },
    /**
     * Shows the picked token under other settings; with those of the request, as it was.
     * @param {Settings} settings
     */
    preview(settings) {
      if (shown === null) return;
      const changed = changesOf(shown.settings, settings);
      const before = recorded(shown.trace);
      const isPreview = changed.length > 0;
      const distribution = isPreview ? redistribute(shown.trace, settings, shown.settings) : before;
      changes.replaceChildren(...(isPreview ? [previewed(changed), outcome(shown.trace, distribution)] : []));
      draw(shown, distribution, { settings, before: isPreview ? before : null, fresh: false });
    },
    clear() {
      shown = null;
      hint.hidden = false;
      body.hidden = true;
    },
  };
}

/** @param {TokenTrace} trace */
function explanation(trace) {
  switch (trace.source) {
    case "greedy":
      return GREEDY;
    case "forced":
      return FORCED;
    case "closing":
      return CLOSING;
    case "drawn": {
      const others = trace.survivors.count - 1;
      return others === 0 ? "Drawn: it was the only token left." : `Drawn, ${rank(trace)}, from ${quantity(others + 1, "token")}.`;
    }
  }
}

/**
 * The rank of the generated token in the model's distribution, as far as the trace tells.
 * @param {TokenTrace} trace
 */
function rank({ id, candidates, rest, steps }) {
  const generated = candidates.find((candidate) => candidate.id === id);
  const logit = generated?.logit ?? -Infinity;
  const place = 1 + candidates.filter((other) => other.logit !== null && other.logit > logit).length;
  if (place === 1) return "the model’s first choice";
  const isKnown = !steps.includes("mask") && (rest === null || logit >= rest.high);
  return isKnown ? `the model’s ${ordinal(place)} choice` : "not among the model’s leading tokens";
}

/** @param {number} place */
function ordinal(place) {
  const endings = /** @type {Record<string, string>} */ ({ one: "st", two: "nd", few: "rd", other: "th" });
  return `${place}${endings[new Intl.PluralRules("en", { type: "ordinal" }).select(place)]}`;
}

/**
 * @param {TokenTrace} trace
 * @param {Distribution} distribution
 * @param {Distribution | null} before
 */
function factsOf(trace, { candidates, survivors, entropy }, before) {
  const [now, past] = [candidates, before?.candidates ?? []].map((list) => list.find(({ id }) => id === trace.id));
  const facts = [
    fact("Probability", `${percent(now?.probability ?? 0)} → ${percent(final(now))}`, past && `was ${percent(final(past))}`),
    fact("Surprise", `${decimal(surprise(trace), 1)} bits`),
    fact("Survivors", quantity(survivors.count, "token"), `${percent(survivors.mass)} of the mass`),
    fact("Entropy", `${decimal(entropy.before)} → ${decimal(entropy.after)} bits`, before && `was ${decimal(before.entropy.after)}`),
  ];
  if (!trace.steps.includes("mask")) return facts;
  const { allowed, vocabulary_size: vocabulary } = trace;
  const share = `${percent(allowed.count / vocabulary)} of the vocabulary, ${percent(allowed.mass)} of the mass`;
  return [...facts, fact("The mask allows", quantity(allowed.count, "token"), share)];
}

/** @param {Candidate | undefined} candidate */
function final(candidate) {
  return candidate?.after.at(-1) ?? candidate?.probability ?? 0;
}

/**
 * @param {string} name
 * @param {string} value
 * @param {string | null} [detail]
 */
function fact(name, value, detail = null) {
  return make("div", {}, make("dt", {}, name), make("dd", {}, value, detail && make("small", {}, detail)));
}

/**
 * @param {Settings} from
 * @param {Settings} to
 */
function changesOf(from, to) {
  const names = /** @type {(keyof Settings)[]} */ (Object.keys(from));
  return names.filter((name) => from[name] !== to[name]).map((name) => `${name} ${from[name]} → ${to[name]}`);
}

/** @param {string[]} changed */
function previewed(changed) {
  return make("strong", {}, changed.join(", "));
}

/**
 * @param {TokenTrace} trace
 * @param {Distribution} distribution
 */
function outcome(trace, { chosenId, candidates }) {
  if (chosenId === trace.id) return "The same token would be chosen.";
  const chosen = candidates.find(({ id }) => id === chosenId);
  if (chosen) return make("span", {}, "The same draw would select ", make("span", { class: "chip" }, visible(chosen).text), ".");
  return trace.draw === null
    ? "A token would be drawn. This one was taken without a draw, so the trace can’t tell which."
    : "The draw may fall on a token that the trace doesn’t list.";
}
