/** The controls of all parameters, made from GET /v1/parameters. Only what differs from the default is sent. */

import { controlFor, helpButton, resetButton } from "./controls.js";
import { make } from "./dom.js";

/** @typedef {import("./controls.js").Control} Control */
/** @typedef {import("./controls.js").Declaration} Declaration */
/** @typedef {import("./conversation.js").Values} Values */
/** @typedef {{declaration: Declaration, control: Control, row: HTMLElement, reset: HTMLElement, problem: HTMLElement}} Row */

/** The page sets these itself. */
const SET_BY_PAGE = new Set(["stream", "stream_options", "trace"]);
/** js/structured.js has the controls of these. */
export const STRUCTURED = new Set(["response_format", "tools", "tool_choice", "parallel_tool_calls"]);
const GROUP_NAMES = /** @type {Record<string, string>} */ ({ "Beyond the page": "More" });
const OPEN_GROUPS = new Set(["Sampling", "Length", "Penalties"]);

/**
 * @param {Declaration[]} declarations
 * @param {{onChange: (values: Values) => void, others?: HTMLElement}} options `others`: a group to stand among these
 */
export function createParameters(declarations, { onChange, others }) {
  /** @type {Map<string, Row>} */
  const rows = new Map();
  const changed = () => {
    for (const row of rows.values()) markSet(row);
    onChange(values());
  };
  for (const declaration of declarations) {
    const isElsewhere = SET_BY_PAGE.has(declaration.name) || STRUCTURED.has(declaration.name);
    const maker = declaration.served && !isElsewhere ? controlFor(declaration) : null;
    if (maker) rows.set(declaration.name, createRow(declaration, maker, changed));
  }

  /** @returns {Values} */
  function values() {
    const entries = [...rows].map(([name, { control }]) => [name, control.get()]);
    return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
  }

  /** Replaces all values; what isn't named returns to its default. @param {Values} next */
  function set(next) {
    for (const [name, row] of rows) {
      row.control.set(next[name]);
      markSet(row);
    }
    clearProblems();
  }

  function clearProblems() {
    for (const row of rows.values()) showIn(row, null);
  }

  return {
    element: make("div", { class: "groups" }, ...groups(rows, others)),
    values,
    set,
    clearProblems,
    /** @param {string} name */
    has: (name) => rows.has(name),
    /** The first value that can't be sent, shown beside its control. */
    findProblem: () => {
      for (const [name, row] of rows) {
        const problem = row.control.problem();
        if (!problem) continue;
        showIn(row, problem);
        return { param: name, message: problem };
      }
      return null;
    },
    /**
     * Shows the server's words beside the control that `param` names. False if there is none.
     * @param {string | null} param
     * @param {string} message
     */
    showProblem: (param, message) => {
      const row = rows.get((param ?? "").split(/[.[]/)[0]);
      return row ? showIn(row, message) : false;
    },
  };
}

/**
 * @param {Declaration} declaration
 * @param {import("./controls.js").ControlMaker} maker
 * @param {() => void} onChange
 * @returns {Row}
 */
function createRow(declaration, maker, onChange) {
  const { name } = declaration;
  const labelId = `label-${name}`;
  const description = describe(declaration);
  const problem = make("p", { class: "row-problem", id: `problem-${name}`, hidden: true });
  const control = maker(declaration, labelId, () => {
    showIn(row, null);
    onChange();
  });
  const reset = resetButton(() => {
    control.set(undefined);
    showIn(row, null);
    onChange();
    control.target().focus();
  });
  const head = make(
    "div",
    { class: "row-head" },
    make("span", { class: "name", id: labelId }, name),
    helpButton(name, description),
    reset,
    control.head,
  );
  const element = make("div", { class: "row", "data-parameter": name }, head, control.body, problem, description);
  const row = { declaration, control, row: element, reset, problem };
  markSet(row);
  return row;
}

/** @param {Declaration} declaration */
function describe({ name, summary, allowed, details, default: standard, default_note: note }) {
  return make(
    "div",
    { class: "about", id: `about-${name}`, hidden: true },
    make("p", {}, summary),
    make("ul", {}, ...details.map((detail) => make("li", {}, detail))),
    make(
      "p",
      { class: "allowed" },
      `Allowed: ${allowed}. Default: ${note ?? (standard === null ? "not set" : JSON.stringify(standard))}.`,
    ),
  );
}

/** @param {Row} row */
function markSet({ control, row, reset }) {
  const isSet = control.get() !== undefined || control.problem() !== null;
  row.toggleAttribute("data-set", isSet);
  reset.toggleAttribute("data-shown", isSet);
}

/**
 * @param {Row} row
 * @param {string | null} message null removes it
 */
function showIn({ row, control, problem }, message) {
  problem.textContent = message;
  problem.hidden = !message;
  row.toggleAttribute("data-problem", Boolean(message));
  const target = control.target();
  if (!message) {
    target.removeAttribute("aria-describedby");
    return true;
  }
  target.setAttribute("aria-describedby", problem.id);
  row.closest("details")?.setAttribute("open", "");
  row.scrollIntoView({ block: "nearest" });
  return true;
}

/**
 * One disclosure for each group, in the order of the declarations. `others` stands before the first that is closed.
 * @param {Map<string, Row>} rows
 * @param {HTMLElement} [others]
 */
function groups(rows, others) {
  /** @type {Map<string, HTMLElement[]>} */
  const members = new Map();
  for (const { declaration, row } of rows.values()) {
    members.set(declaration.group, [...(members.get(declaration.group) ?? []), row]);
  }
  const made = [...members].map(([name, elements]) =>
    group(GROUP_NAMES[name] ?? name, OPEN_GROUPS.has(name), ...elements),
  );
  const closed = made.findIndex((element) => !element.open);
  const place = closed < 0 ? made.length : closed;
  return [...made.slice(0, place), ...(others ? [others] : []), ...made.slice(place)];
}

/**
 * @param {string} name
 * @param {boolean} isOpen
 * @param {...HTMLElement} content
 */
export function group(name, isOpen, ...content) {
  return make("details", { class: "group", open: isOpen }, make("summary", {}, name), ...content);
}

/** The values that js/sampling.js needs, all set. @typedef {import("./sampling.js").Settings} Settings */

const SAMPLING = [
  "temperature",
  "top_k",
  "top_p",
  "min_p",
  "frequency_penalty",
  "presence_penalty",
  "repetition_penalty",
];

/**
 * @param {Declaration[]} declarations
 * @param {Values} values
 * @returns {Settings}
 */
export function settingsOf(declarations, values) {
  const defaults = new Map(declarations.map((declaration) => [declaration.name, declaration.default ?? 0]));
  const entries = SAMPLING.map((name) => [name, Number(values[name] ?? defaults.get(name) ?? 0)]);
  return Object.fromEntries(entries);
}
