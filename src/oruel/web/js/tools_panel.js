/** The panel for tools, tool_choice and parallel_tool_calls. */

import { button, make } from "./dom.js";
import { problemOf, switchField, uniqueId } from "./fields.js";
import { TOOLS } from "./structured_examples.js";
import { createToolCard } from "./tool_card.js";
import { MAX_TOOLS, noTools, toolDraft, withoutTool } from "./tools_draft.js";

/** @typedef {import("./tools_draft.js").ToolsDraft} ToolsDraft */
/** @typedef {import("./tools_draft.js").Choice} Choice */
/** @typedef {ReturnType<typeof createToolCard>} ToolCard */

const CHOICES = { auto: "the model decides", none: "no calls", required: "at least one call" };

/** @param {{onChange: () => void}} options */
export function createToolsPanel({ onChange }) {
  /** @type {ToolCard[]} */
  let cards = [];
  const headingId = uniqueId("tools");
  const list = make("ul", { class: "tool-list" });
  const choice = choiceField(onChange);
  const parallel = switchField({ label: "parallel_tool_calls", hint: "an answer may contain several calls", onInput: onChange });
  const settings = make("div", { class: "details" }, choice.element, parallel.element);
  const add = button({ label: "Add a function", icon: "add", text: "New", onclick: () => append(noName()).open() });
  const examples = TOOLS.map((tool) =>
    make("button", { type: "button", class: "suggestion mono", onclick: () => append(toolDraft(tool)) }, tool.name));
  const problem = problemOf(list);

  /** @returns {ToolsDraft} */
  const draft = () => ({ tools: cards.map((card) => card.draft()), choice: choice.get(), parallel: parallel.get() });

  function changed() {
    draw();
    onChange();
  }

  function draw() {
    const names = cards.map((card) => card.draft().name);
    choice.draw(names);
    settings.hidden = cards.length === 0;
    add.disabled = cards.length >= MAX_TOOLS;
    for (const [place, example] of examples.entries()) example.disabled = add.disabled || names.includes(TOOLS[place].name);
  }

  /** @param {import("./tools_draft.js").ToolDraft} tool @returns {ToolCard} */
  function append(tool) {
    const card = insert(tool);
    changed();
    return card;
  }

  /** @param {import("./tools_draft.js").ToolDraft} tool @returns {ToolCard} */
  function insert(tool) {
    const card = createToolCard(tool, { onChange: changed, onRemove: () => remove(card) });
    cards.push(card);
    list.append(card.element);
    return card;
  }

  /** @param {ToolCard} card */
  function remove(card) {
    const place = cards.indexOf(card);
    const left = withoutTool(draft(), place);
    cards.splice(place, 1);
    card.element.remove();
    draw();
    choice.set(left.choice);
    add.focus();
    onChange();
  }

  /** @param {ToolsDraft} next */
  function set(next) {
    cards = [];
    list.replaceChildren();
    for (const tool of next.tools) insert(tool);
    draw();
    choice.set(next.choice);
    parallel.set(next.parallel);
  }

  set(noTools());
  return {
    element: make(
      "section", { class: "structured", "aria-labelledby": headingId },
      make("div", { class: "section-head" }, make("p", { id: headingId, class: "structured-title" }, "tools"), add),
      make("p", { class: "hint" }, "Functions that the model may call. You run them, and type in what they return."),
      make("div", { class: "suggestions", role: "group", "aria-label": "Example functions" }, ...examples),
      list, problem.element, settings,
    ),
    draft,
    set,
    /** Shows a problem beside the field that `param` names; null clears all. @param {string} param @param {string | null} message */
    show: (param, message) => {
      const place = Number(/^tools\[(\d+)\]/.exec(param)?.[1] ?? -1);
      for (const [other, card] of cards.entries()) card.show(param, other === place ? message : null);
      problem.show(cards[place] ? null : message);
    },
  };
}

/** @returns {import("./tools_draft.js").ToolDraft} */
const noName = () => ({ name: "", description: "", parameters: "", strict: false });

/** @param {() => void} onChange */
function choiceField(onChange) {
  const id = uniqueId("tool-choice");
  const select = make("select", { id, onchange: onChange });
  /** @param {Choice} choice */
  const set = (choice) => { select.value = String(choice); };
  /** @returns {Choice} */
  const get = () => {
    const { value } = select;
    return value === "none" || value === "required" ? value : /^\d+$/.test(value) ? Number(value) : "auto";
  };
  return {
    element: make("div", { class: "labelled" }, make("label", { for: id, class: "mono" }, "tool_choice"), select),
    get,
    set,
    /** @param {string[]} names */
    draw: (names) => {
      const chosen = get();
      const modes = Object.entries(CHOICES).map(([mode, what]) => make("option", { value: mode }, `${mode}: ${what}`));
      const functions = names.map((name, place) => make("option", { value: place }, `call ${name || "unnamed"}`));
      select.replaceChildren(...modes, ...functions);
      set(chosen);
    },
  };
}
