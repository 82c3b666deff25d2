/** The panel for response_format: text, JSON, or JSON that matches a schema. */

import { make } from "./dom.js";
import { nameField, problemOf, schemaField, switchField, uniqueId } from "./fields.js";
import { emptyFormat, FORMAT_TYPES } from "./format_draft.js";
import { written } from "./json_schema.js";
import { SCHEMAS } from "./structured_examples.js";

/** @typedef {import("./format_draft.js").FormatDraft} FormatDraft */
/** @typedef {import("./format_draft.js").FormatType} FormatType */

/** @type {Record<FormatType, string>} */
const EXPLANATIONS = {
  text: "The model writes freely.",
  json_object: "The answer is one complete JSON object. Mention JSON in a message, or the server refuses the request.",
  json_schema: "The answer is JSON that matches this schema, at every temperature.",
};

/** @param {{onChange: () => void}} options */
export function createFormatPanel({ onChange }) {
  const name = nameField({ placeholder: "answer", onInput: onChange });
  const strict = switchField({ label: "strict", hint: "refuse a schema that can't be enforced in full", onInput: onChange });
  const schema = schemaField({ label: "JSON Schema", placeholder: '{"type": "object", …}', onInput: onChange });
  let { description } = emptyFormat();
  const start = (/** @type {typeof SCHEMAS[number]} */ example) => {
    name.set(example.name);
    schema.set(written(example.schema));
    description = "";
    onChange();
  };
  const examples = make(
    "div", { class: "suggestions", role: "group", "aria-label": "Example schemas" },
    ...SCHEMAS.map((example) => make("button", { type: "button", class: "suggestion", onclick: () => start(example) }, example.label)),
  );
  const details = make("div", { class: "details" }, examples, schema.element, name.element, strict.element);
  const types = typeChoice(() => { draw(); onChange(); });
  const explanation = make("p", { class: "hint" });
  const problem = problemOf(types.element);
  const draw = () => {
    explanation.textContent = EXPLANATIONS[types.get()];
    details.hidden = types.get() !== "json_schema";
  };

  /** @param {FormatDraft} draft */
  function set(draft) {
    types.set(draft.type);
    name.set(draft.name);
    strict.set(draft.strict);
    schema.set(draft.schema);
    ({ description } = draft);
    draw();
  }

  set(emptyFormat());
  return {
    element: make(
      "section", { class: "structured", "aria-labelledby": types.labelId },
      make("p", { id: types.labelId, class: "structured-title" }, "response_format"), types.element, explanation, problem.element, details,
    ),
    /** @returns {FormatDraft} */
    draft: () => ({ type: types.get(), name: name.get(), description, schema: schema.get(), strict: strict.get() }),
    set,
    /** Shows a problem beside the field that `param` names; null clears all. @param {string} param @param {string | null} message */
    show: (param, message) => {
      const field = param.includes(".name") ? name : param.includes(".schema") ? schema : problem;
      for (const other of [name, problem]) other.show(null);
      field.show(message);
    },
  };
}

/** @param {() => void} onInput */
function typeChoice(onInput) {
  const labelId = uniqueId("response-format");
  const inputs = FORMAT_TYPES.map((type) => make("input", { type: "radio", name: labelId, value: type, onchange: onInput }));
  const labels = FORMAT_TYPES.map((type, place) => make("label", {}, inputs[place], make("span", {}, type)));
  return {
    labelId,
    element: make("div", { class: "segments", role: "radiogroup", "aria-labelledby": labelId }, ...labels),
    /** @returns {FormatType} */
    get: () => FORMAT_TYPES[Math.max(0, inputs.findIndex(({ checked }) => checked))],
    set: (/** @type {FormatType} */ type) => {
      for (const input of inputs) input.checked = input.value === type;
    },
  };
}
