/** A tool call of an answer: the arguments while they stream, and a field for what the function returns. */

import { make } from "./dom.js";
import { uniqueId } from "./fields.js";
import { layOut, parseJson } from "./json.js";

/** @typedef {import("./conversation.js").Call} Call */

/**
 * @param {Call} call
 * @param {{onResult: (text: string, call: Call) => void}} options
 */
export function createCallCard(call, { onResult }) {
  const name = make("strong", { class: "mono" });
  const state = make("span", { class: "call-state" });
  const written = make("code");
  const result = make("div", { class: "call-result", hidden: true });
  const form = resultForm((text) => {
    setResult(text);
    onResult(text, call);
  });
  const element = make(
    "article", { class: "call-card" },
    make("header", {}, make("span", { class: "call-mark", "aria-hidden": "true" }, "ƒ"), name, state),
    make("pre", { class: "call-arguments", tabindex: 0, role: "group" }, written),
    form.element,
    result,
  );

  let hasResult = false;

  /** @param {Call} next */
  function update(next) {
    call = next;
    const { name: called, arguments: text } = call.function;
    const isComplete = parseJson(text).mistake === null;
    name.textContent = called;
    element.setAttribute("aria-label", `Call of ${called}`);
    written.parentElement?.setAttribute("aria-label", `Arguments of ${called}`);
    written.replaceChildren(...coloured(text));
    state.textContent = isComplete ? "" : "arguments incomplete";
    element.toggleAttribute("data-incomplete", !isComplete);
    form.show(called, isComplete && !hasResult);
  }

  /** @param {string} text */
  function setResult(text) {
    const isJson = parseJson(text).mistake === null;
    const shown = make("code", {}, ...(isJson ? coloured(text) : [text]));
    result.replaceChildren(make("span", { class: "caption" }, "Result"), make("pre", { tabindex: 0, role: "group", "aria-label": "Result" }, shown));
    result.hidden = false;
    hasResult = true;
    form.show(call.function.name, false);
  }

  update(call);
  return { element, update, setResult };
}

/** JSON laid out, with its names, strings and numbers in different colours. @param {string} text */
function coloured(text) {
  return layOut(text).map((piece) =>
    piece.kind === "space" || piece.kind === "mark" ? piece.text : make("span", { class: `json-${piece.kind}` }, piece.text));
}

/** @param {(text: string) => void} onSubmit */
function resultForm(onSubmit) {
  const id = uniqueId("result");
  const field = make("textarea", { id, rows: 1, class: "json", spellcheck: "false", autocomplete: "off" });
  const send = make("button", { class: "solid", disabled: true }, "Send result");
  const label = make("label", { for: id });
  const element = make("form", { class: "call-form", hidden: true }, label, field, send);
  field.addEventListener("input", () => { send.disabled = field.value.trim() === ""; });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (!send.disabled) element.requestSubmit();
  });
  element.addEventListener("submit", (event) => {
    event.preventDefault();
    onSubmit(field.value);
  });
  /** @param {string} name @param {boolean} isShown */
  const show = (name, isShown) => {
    label.textContent = `What ${name} returned`;
    element.hidden = !isShown;
  };
  return { element, show };
}
