/** The panel at the side: presets, system prompt and parameters; the same request as code. */

import { CodePane } from "./code_pane.js";
import { button, make } from "./dom.js";
import { createParameters, group, STRUCTURED } from "./parameters.js";
import { createStructuredPanel } from "./structured.js";
import { tabList } from "./tabs.js";

/** @typedef {import("./controls.js").Declaration} Declaration */
/** @typedef {import("./conversation.js").Values} Values */
/** @typedef {{name: string, settings: Values}} UseCase */
/** @typedef {Pick<ReturnType<typeof createParameters>, "element" | "values" | "set" | "findProblem" | "showProblem" | "clearProblems">} Controls */

/** A preset replaces the other parameters, but keeps these: they say nothing about a use case. */
const KEPT_BY_PRESETS = ["seed", "tier", "n", "tools", "tool_choice", "parallel_tool_calls"];

/**
 * @typedef {object} PanelOptions
 * @property {Declaration[]} declarations
 * @property {UseCase[]} useCases
 * @property {() => void} onChange a value has changed
 * @property {(text: string) => void} onSystem the system prompt has
 * @property {() => void} onClose of the sheet on narrow screens
 * @property {() => {body: Record<string, unknown>, needsKey: boolean}} request what the page would send now
 */

export class Panel {
  /**
   * @param {HTMLElement} element
   * @param {PanelOptions} options
   */
  constructor(element, options) {
    this.options = options;
    const structured = createStructuredPanel({ onChange: () => this.#changed() });
    this.parameters = createParameters(options.declarations, {
      onChange: () => this.#changed(),
      others: group("JSON and tools", false, structured.element),
    });
    /** @type {Controls[]} */
    this.controls = [this.parameters, structured];
    this.system = make("textarea", {
      id: "system",
      rows: 1,
      placeholder: "None",
      spellcheck: "true",
      oninput: () => {
        options.onSystem(this.system.value);
        options.onChange();
      },
    });
    this.preset = presetSelect(options.useCases, (useCase) => this.#apply(useCase));
    this.code = new CodePane(options.request);
    this.clear = button({
      label: "Set all parameters back to their defaults",
      text: "Reset",
      onclick: () => {
        this.set({});
        this.#changed();
      },
    });

    const panes = {
      Parameters: make(
        "div",
        { class: "pane" },
        block("Preset", this.preset),
        block("System prompt", this.system),
        this.parameters.element,
      ),
      Code: this.code.element,
    };
    const close = button({
      label: "Close the parameters",
      icon: "close",
      class: "quiet only-narrow",
      onclick: options.onClose,
    });
    const tabs = tabList(
      "Panel",
      Object.keys(panes),
      (name) => {
        for (const [own, pane] of Object.entries(panes)) pane.hidden = own !== name;
        this.clear.hidden = name !== "Parameters";
        this.code.refresh();
      },
      panes,
    );
    element.replaceChildren(make("div", { class: "tabs" }, tabs, this.clear, close), ...Object.values(panes));
    this.#draw();
  }

  /** @returns {Values} */
  values() {
    return Object.assign({}, ...this.controls.map((controls) => controls.values()));
  }

  /** Replaces all values. Returns the names that no control takes. @param {Values} values */
  set(values) {
    for (const controls of this.controls) controls.set(values);
    this.preset.value = "";
    this.#draw();
    return Object.keys(values).filter((name) => !this.parameters.has(name) && !STRUCTURED.has(name));
  }

  /** The first value that can't be sent, shown beside its control. */
  findProblem() {
    for (const controls of this.controls) {
      controls.clearProblems();
      const problem = controls.findProblem();
      if (problem) return problem;
    }
    return null;
  }

  /** Shows the server's words beside the control that `param` names. @param {string | null} param @param {string} message */
  showProblem(param, message) {
    return this.controls.some((controls) => controls.showProblem(param, message));
  }

  /** What the page would send has changed. */
  refresh() {
    this.code.refresh();
  }

  #changed() {
    this.preset.value = "";
    this.#draw();
    this.options.onChange();
  }

  /** @param {UseCase} useCase */
  #apply(useCase) {
    const kept = Object.entries(this.values()).filter(([name]) => KEPT_BY_PRESETS.includes(name));
    this.set({ ...Object.fromEntries(kept), ...useCase.settings });
    this.options.onChange();
    this.preset.value = useCase.name;
  }

  #draw() {
    const number = Object.keys(this.values()).length;
    this.clear.disabled = number === 0;
    const label = this.clear.lastElementChild;
    if (label) label.textContent = number ? `Reset ${number}` : "Reset";
    this.code.refresh();
  }
}

/**
 * @param {UseCase[]} useCases
 * @param {(useCase: UseCase) => void} onPick
 */
function presetSelect(useCases, onPick) {
  const select = make(
    "select",
    { id: "preset" },
    make("option", { value: "" }, "Custom"),
    ...useCases.map((useCase) => make("option", { value: useCase.name }, useCase.name)),
  );
  select.addEventListener("change", () => {
    const picked = useCases.find(({ name }) => name === select.value);
    if (picked) onPick(picked);
  });
  return select;
}

/**
 * @param {string} label
 * @param {HTMLElement} field
 */
function block(label, field) {
  return make("div", { class: "block" }, make("label", { for: field.id }, label), field);
}
