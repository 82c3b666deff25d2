/**
 * The candidates of one token as a table: a row for each, a column for each step, a bar for each probability. Bars stay
 * in place while settings change, so that they grow and shrink.
 */

import { make } from "./dom.js";
import { decimal, percent, quantity, spoken, visible } from "./token_text.js";

/** @typedef {import("./token_trace.js").Candidate} Candidate */
/** @typedef {import("./token_trace.js").Distribution} Distribution */
/** @typedef {import("./sampling.js").Settings} Settings */
/** @typedef {import("./token_trace.js").Step} Step */
/** @typedef {{cell: HTMLTableCellElement, length: HTMLElement, value: HTMLElement, change: HTMLElement}} Cell */
/** @typedef {{row: HTMLTableRowElement, cells: Cell[], verdict: HTMLElement}} Row */

/** The rows shown at first. */
const SHOWN = 12;
/** A smaller change of a probability isn't marked. */
const NOTICEABLE = 5e-4;

/**
 * `onChoose` is called with the candidate that the user wants in place of the generated one.
 * @param {{onChoose: (candidate: Candidate) => void}} handlers
 */
export function createCandidateTable({ onChoose }) {
  const table = make("table", { class: "candidates" });
  const more = make("button", { type: "button", class: "candidates-more" });
  const root = make("div", { class: "candidates-frame" }, table, more);
  /** @type {Map<number, Row>} */
  let rows = new Map();
  /** @type {Cell[]} */
  let others = [];
  /** @type {Candidate[]} */
  let candidates = [];

  more.addEventListener("click", () => {
    table.classList.add("shows-all");
    more.hidden = true;
  });
  table.addEventListener("click", ({ target }) => {
    const button = target instanceof Element ? target.closest("button") : null;
    const chosen = candidates.find(({ id }) => String(id) === button?.dataset.id);
    if (chosen) onChoose(chosen);
  });

  /**
   * Makes the rows and columns.
   * @param {Distribution} distribution
   * @param {number} generated
   */
  function build({ steps, candidates, unlisted }, generated) {
    rows = new Map(candidates.map((candidate) => [candidate.id, candidateRow(candidate, steps, candidate.id === generated)]));
    others = stepCells(steps);
    const rest = make(
      "tr",
      { class: "others" },
      make("th", { scope: "row" }, "all others"),
      make("td", { class: "logit" }),
      ...others.map(({ cell }) => cell),
    );
    const body = make("tbody", {}, ...[...rows.values()].map(({ row }) => row));
    const foot = make("tfoot", {}, rest);
    foot.hidden = !unlisted.some((mass) => mass > 0) && sum(candidates) > 1 - NOTICEABLE;
    table.replaceChildren(head(steps), body, foot);
    table.classList.remove("shows-all");
    more.hidden = candidates.length <= SHOWN;
    more.textContent = `Show ${quantity(candidates.length - SHOWN, "more candidate")}`;
  }

  return {
    element: root,
    /**
     * Shows a distribution. `before` is the recorded one, from which changes are marked; null marks none.
     * @param {Distribution} distribution
     * @param {{generated: number, settings: Settings, before: Distribution | null, fresh: boolean}} context
     */
    show(distribution, { generated, settings, before, fresh }) {
      const columns = distribution.steps.join();
      if (fresh || table.dataset.steps !== columns) build(distribution, generated);
      table.dataset.steps = columns;
      candidates = distribution.candidates;
      nameSettings(table, settings);
      const scale = largest(before ? [distribution, before] : [distribution]);
      candidates.forEach((candidate, place) => {
        const row = rows.get(candidate.id);
        if (row) fillRow(row, candidate, distribution.steps, before?.candidates[place] ?? null, scale);
        row?.row.classList.toggle("would-be-drawn", before !== null && candidate.id === distribution.chosenId);
      });
      const rest = [Math.max(0, 1 - sum(candidates)), ...distribution.unlisted];
      others.forEach((cell, place) => fill(cell, rest[place], scale));
    },
  };
}

/** @param {Step[]} steps */
function head(steps) {
  const names = steps.map((step) =>
    make("th", { scope: "col", class: "step", "data-step": step }, stepName(step), make("span", { class: "setting" })),
  );
  const model = make("th", { scope: "col", class: "step" }, "model");
  const logit = make("th", { scope: "col", class: "logit" }, "logit");
  const row = make("tr", {}, make("th", { scope: "col", class: "token-column" }, "token"), logit, model, ...names);
  return make("thead", {}, row);
}

/**
 * The name of a step, which may break after an underscore.
 * @param {Step} step
 */
function stepName(step) {
  const parts = step.split(/(?<=_)/u).flatMap((part) => [part, make("wbr")]);
  return make("code", {}, ...parts);
}

/**
 * @param {HTMLTableElement} table
 * @param {Settings} settings
 */
function nameSettings(table, settings) {
  for (const cell of table.querySelectorAll("thead th[data-step]")) {
    const step = cell.getAttribute("data-step") ?? "";
    const value = step in settings ? settings[/** @type {keyof Settings} */ (step)] : "";
    if (cell.lastChild) cell.lastChild.textContent = String(value);
  }
}

/**
 * @param {Candidate} candidate
 * @param {Step[]} steps
 * @param {boolean} isGenerated
 * @returns {Row}
 */
function candidateRow(candidate, steps, isGenerated) {
  const cells = stepCells(steps);
  const verdict = make("span", { class: "cut-by" });
  cells.at(-1)?.change.before(verdict);
  const logit = candidate.logit === null ? "−∞" : decimal(candidate.logit).replace("-", "−");
  const row = make(
    "tr",
    { "data-id": candidate.id, class: isGenerated ? "generated" : null },
    make("th", { scope: "row", title: `id ${candidate.id}` }, name(candidate, isGenerated), ...notes(candidate)),
    make("td", { class: "logit" }, logit),
    ...cells.map(({ cell }) => cell),
  );
  return { row, cells, verdict };
}

/**
 * The token, as a button if the conversation can go on from it.
 * @param {Candidate} candidate
 * @param {boolean} isGenerated
 */
function name(candidate, isGenerated) {
  const { text, kind } = visible(candidate);
  const chip = make("span", { class: "chip", "data-kind": kind }, text);
  if (isGenerated) return make("span", { class: "choice" }, chip, make("span", { class: "badge" }, "generated"));
  if (candidate.removedBy === "mask") return make("span", { class: "choice" }, chip);
  const label = `Continue with token ${spoken(candidate)} instead`;
  const hint = make("span", { class: "continue", "aria-hidden": "true" }, "continue from here");
  const attributes = { type: "button", class: "choice", "data-id": candidate.id, "aria-label": label };
  return make("button", attributes, chip, hint);
}

/** @param {Candidate} candidate */
function notes({ count, bias }) {
  const seen = count > 0 ? make("span", { class: "note", title: `${quantity(count, "time")} in the output so far` }, `×${count}`) : null;
  const sign = bias > 0 ? "+" : "−";
  const biased = bias !== 0 ? make("span", { class: "note", title: "its logit_bias" }, `bias ${sign}${Math.abs(bias)}`) : null;
  return [seen, biased];
}

/**
 * A cell for the model's own distribution, and one for each step.
 * @param {Step[]} steps
 */
function stepCells(steps) {
  const cells = [null, ...steps].map((step) => stepCell(step));
  cells.at(-1)?.cell.classList.add("final");
  return cells;
}

/**
 * @param {Step | null} step
 * @returns {Cell}
 */
function stepCell(step) {
  const length = make("span", { class: "length" });
  const value = make("span", { class: "value" });
  const change = make("span", { class: "change" });
  const cell = make("td", { class: "step", "data-step": step }, length, value, change);
  return { cell, length, value, change };
}

/**
 * @param {Row} row
 * @param {Candidate} candidate
 * @param {Step[]} steps
 * @param {Candidate | null} before
 * @param {number} scale
 */
function fillRow({ row, cells, verdict }, candidate, steps, before, scale) {
  const cut = candidate.removedBy === null ? -1 : steps.indexOf(candidate.removedBy);
  const now = [candidate.probability, ...candidate.after];
  cells.forEach((cell, place) => {
    fill(cell, now[place], scale);
    cell.cell.classList.toggle("cut", cut >= 0 && place === cut + 1);
    cell.cell.classList.toggle("gone", cut >= 0 && place > cut + 1);
    if (cut >= 0 && place > cut) cell.value.textContent = place === cut + 1 ? "cut" : "";
  });
  row.classList.toggle("removed", cut >= 0);
  verdict.textContent = cut >= 0 ? `cut by ${candidate.removedBy}` : "";
  mark(/** @type {Cell} */ (cells.at(-1)), final(candidate), before, scale);
}

/**
 * @param {Cell} cell
 * @param {number} probability
 * @param {number} scale
 */
function fill({ cell, length, value }, probability, scale) {
  cell.dataset.probability = String(probability);
  length.style.setProperty("--length", String(probability / scale));
  value.textContent = percent(probability);
}

/**
 * Marks the change of a final probability.
 * @param {Cell} cell
 * @param {number} now
 * @param {Candidate | null} before
 * @param {number} scale
 */
function mark({ cell, change }, now, before, scale) {
  const past = before === null ? now : final(before);
  const isChanged = Math.abs(now - past) >= NOTICEABLE;
  cell.classList.toggle("changed", isChanged);
  cell.style.setProperty("--before", String(past / scale));
  change.dataset.direction = now > past ? "up" : "down";
  change.textContent = isChanged ? comparison(now, past) : "";
}

/**
 * @param {number} now
 * @param {number} past
 */
function comparison(now, past) {
  if (past === 0) return "↑ was cut";
  return now === 0 ? `was ${percent(past)}` : `${now > past ? "↑" : "↓"} from ${percent(past)}`;
}

/** @param {Candidate} candidate */
function final({ after, probability }) {
  return after.at(-1) ?? probability;
}

/** @param {Candidate[]} candidates */
function sum(candidates) {
  return candidates.reduce((total, { probability }) => total + probability, 0);
}

/** @param {Distribution[]} distributions */
function largest(distributions) {
  const listed = distributions.flatMap(({ candidates }) => candidates.flatMap(({ probability, after }) => [probability, ...after]));
  const rest = distributions.flatMap(({ unlisted }) => unlisted);
  return Math.max(...listed, ...rest);
}
