/** A declared function: its name and description at a glance, its fields when it is open. */

import { button, make } from "./dom.js";
import { nameField, schemaField, switchField, textField } from "./fields.js";
import { readParameters } from "./json_schema.js";

/** @typedef {import("./tools_draft.js").ToolDraft} ToolDraft */

/**
 * @param {ToolDraft} tool
 * @param {{onChange: () => void, onRemove: () => void}} options
 */
export function createToolCard(tool, { onChange, onRemove }) {
  const changed = () => { draw(); onChange(); };
  const name = nameField({ placeholder: "get_weather", onInput: changed });
  const description = textField({ label: "Description", placeholder: "What it does, for the model", onInput: changed });
  const parameters = schemaField({
    label: "Parameters", placeholder: '{"type": "object", "properties": {…}}', optional: true, read: readParameters, onInput: changed,
  });
  const strict = switchField({ label: "strict", hint: "refuse a schema that can't be enforced in full", onInput: changed });
  const title = make("span", { class: "tool-name mono" });
  const line = make("span", { class: "tool-line" });
  const details = make(
    "details", { class: "tool-card" },
    make("summary", {}, title, line),
    make("div", { class: "details" }, name.element, description.element, parameters.element, strict.element),
  );
  const remove = button({ label: "Remove this function", icon: "remove", class: "quiet remove", onclick: onRemove });
  const draw = () => {
    title.textContent = name.get() || "unnamed";
    line.textContent = description.get();
    remove.setAttribute("aria-label", `Remove ${name.get() || "the unnamed function"}`);
  };
  name.set(tool.name);
  description.set(tool.description);
  parameters.set(tool.parameters);
  strict.set(tool.strict);
  draw();
  return {
    element: make("li", { class: "tool" }, details, remove),
    /** @returns {ToolDraft} */
    draft: () => ({ name: name.get(), description: description.get(), parameters: parameters.get(), strict: strict.get() }),
    open: () => {
      details.open = true;
      name.focus();
    },
    /** @param {string} param @param {string | null} message */
    show: (param, message) => {
      const isName = param.endsWith(".name");
      name.show(isName ? message : null);
      if (!isName && message) parameters.show(message);
      details.toggleAttribute("data-problem", Boolean(message));
      if (message) details.open = true;
    },
  };
}
