/** The panel at the side: presets, system prompt and parameters; the same request as code. */

import { copyButton } from "./answer.js";
import { LANGUAGES, sample } from "./code.js";
import { button, make } from "./dom.js";
import { createParameters, group } from "./parameters.js";
import { createStructuredPanel } from "./structured.js";

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
 * @property {() => void} onChange
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
      oninput: () => this.#changed(),
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
    const taken = this.values();
    return Object.keys(values).filter((name) => !this.parameters.has(name) && !(name in taken));
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

/** The request in a language, with its tabs. */
class CodePane {
  /** @param {PanelOptions["request"]} request */
  constructor(request) {
    this.request = request;
    /** @type {typeof LANGUAGES[number]} */
    this.language = "curl";
    this.text = make("code");
    const tabs = tabList("Language", [...LANGUAGES], (name) => {
      this.language = /** @type {typeof LANGUAGES[number]} */ (name);
      this.refresh();
    });
    this.element = make(
      "div",
      { class: "pane", hidden: true },
      make(
        "div",
        { class: "code-head" },
        tabs,
        copyButton("Copy", () => this.text.textContent ?? ""),
      ),
      make("pre", { class: "code", tabindex: 0, "aria-label": "The request as code" }, this.text),
      make(
        "p",
        { class: "hint" },
        "Only what differs from a default is sent. The page also streams the reply and asks for a trace; neither changes the text.",
      ),
    );
  }

  refresh() {
    if (this.element.hidden) return;
    const { body, needsKey } = this.request();
    this.text.textContent = sample(this.language, body, { origin: location.origin, needsKey });
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

/**
 * Tabs that the arrow keys move between.
 * @param {string} label
 * @param {string[]} names
 * @param {(name: string) => void} onSelect
 * @param {Record<string, HTMLElement>} [panes] what each tab shows
 */
function tabList(label, names, onSelect, panes) {
  const tabs = names.map((name) => make("button", { type: "button", role: "tab", onclick: () => select(name) }, name));
  /** @param {string} name */
  const select = (name) => {
    for (const tab of tabs) {
      const isSelected = tab.textContent === name;
      tab.setAttribute("aria-selected", String(isSelected));
      tab.tabIndex = isSelected ? 0 : -1;
    }
    onSelect(name);
  };
  const element = make("div", { role: "tablist", "aria-label": label }, ...tabs);
  element.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const at = tabs.indexOf(/** @type {HTMLButtonElement} */ (event.target));
    if (!step || at < 0) return;
    const next = tabs[(at + step + tabs.length) % tabs.length];
    select(next.textContent ?? "");
    next.focus();
  });
  for (const [name, pane] of Object.entries(panes ?? {})) {
    const tab = tabs[names.indexOf(name)];
    [tab.id, pane.id] = [`tab-${name.toLowerCase()}`, `pane-${name.toLowerCase()}`];
    tab.setAttribute("aria-controls", pane.id);
    pane.setAttribute("role", "tabpanel");
    pane.setAttribute("aria-labelledby", tab.id);
    pane.hidden = name !== names[0];
  }
  for (const [index, tab] of tabs.entries()) {
    tab.setAttribute("aria-selected", String(index === 0));
    tab.tabIndex = index === 0 ? 0 : -1;
  }
  return element;
}
