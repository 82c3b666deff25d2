/** Labelled fields of the panels for formats and tools. Each shows a problem in words beneath itself. */

import { make } from "./dom.js";
import { problemOfName, readSchema, summary, written } from "./json_schema.js";

/** @typedef {import("./json_schema.js").Read} Read */

/**
 * @typedef {object} Field
 * @property {HTMLElement} element
 * @property {() => string} get
 * @property {(text: string) => void} set
 * @property {(message: string | null) => void} show  shows a problem; null removes it
 * @property {() => void} focus
 */

let made = 0;

/** An id that no other element has. @param {string} noun */
export function uniqueId(noun) {
  made += 1;
  return `${noun}-${made}`;
}

/**
 * One line of text.
 * @param {{label: string, placeholder?: string, mono?: boolean, onInput: () => void}} options
 * @returns {Field}
 */
export function textField({ label, placeholder, mono, onInput }) {
  const id = uniqueId("field");
  const input = make("input", { type: "text", id, placeholder, class: mono ? "mono" : null, autocomplete: "off", spellcheck: "false" });
  input.addEventListener("input", onInput);
  const problem = problemOf(input);
  const element = make("div", { class: "labelled" }, make("label", { for: id }, label), input, problem.element);
  return {
    element,
    get: () => input.value,
    set: (text) => { input.value = text; },
    show: problem.show,
    focus: () => input.focus(),
  };
}

/**
 * The name of a schema or a function, checked as it is typed.
 * @param {{placeholder: string, onInput: () => void}} options
 * @returns {Field}
 */
export function nameField({ placeholder, onInput }) {
  const check = () => {
    onInput();
    if (field.get()) field.show(problemOfName(field.get()));
  };
  const field = textField({ label: "Name", placeholder, mono: true, onInput: check });
  return field;
}

/**
 * A JSON Schema, read as it is typed: beneath it stands the first mistake, or else what the schema describes.
 * @param {{label: string, placeholder: string, optional?: boolean, read?: (text: string) => Read, onInput: () => void}} options
 * @returns {Field}
 */
export function schemaField({ label, placeholder, optional = false, read = readSchema, onInput }) {
  const id = uniqueId("schema");
  const field = make("textarea", { id, class: "json", rows: 3, spellcheck: "false", autocomplete: "off", placeholder });
  const problem = problemOf(field);
  const describes = make("p", { class: "describes", hidden: true });
  const draw = () => {
    const isEmpty = field.value.trim() === "";
    const { schema, message } = read(field.value);
    problem.show(isEmpty ? null : message);
    describes.textContent = schema ? summary(schema) : isEmpty && optional ? "No schema: no arguments are declared" : "";
    describes.hidden = !describes.textContent;
  };
  field.addEventListener("input", () => { draw(); onInput(); });
  field.addEventListener("change", () => {
    const { schema } = read(field.value);
    if (schema && !field.value.trim().includes("\n")) field.value = written(schema);
  });
  draw();
  return {
    element: make("div", { class: "labelled" }, make("label", { for: id }, label), field, problem.element, describes),
    get: () => field.value,
    set: (text) => { field.value = text; draw(); },
    show: (message) => {
      problem.show(message);
      if (message) describes.hidden = true;
    },
    focus: () => field.focus(),
  };
}

/**
 * A box to tick, with its explanation.
 * @param {{label: string, hint: string, onInput: () => void}} options
 */
export function switchField({ label, hint, onInput }) {
  const id = uniqueId("switch");
  const input = make("input", { type: "checkbox", id, "aria-describedby": `${id}-hint` });
  input.addEventListener("input", onInput);
  const element = make(
    "div", { class: "switch" },
    input, make("label", { for: id, class: "mono" }, label), make("span", { class: "hint", id: `${id}-hint` }, hint),
  );
  return { element, get: () => input.checked, set: (/** @type {boolean} */ on) => { input.checked = on; } };
}

/** The place for a problem of `target`. @param {HTMLElement} target */
export function problemOf(target) {
  const element = make("p", { class: "row-problem", id: uniqueId("problem"), hidden: true });
  const show = (/** @type {string | null} */ message) => {
    element.textContent = message;
    element.hidden = !message;
    if (message) target.setAttribute("aria-describedby", element.id);
    else target.removeAttribute("aria-describedby");
    target.setAttribute("aria-invalid", String(Boolean(message)));
  };
  return { element, show };
}
