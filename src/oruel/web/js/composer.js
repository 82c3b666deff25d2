/** The form below the conversation: the prompt, the button that sends or stops, and the switch for traces. */

import { byId, icon, make } from "./dom.js";

/**
 * @param {{onSend: (prompt: string) => void, onStop: () => void, onInput: () => void}} handlers
 */
export function createComposer({ onSend, onStop, onInput }) {
  const form = byId("composer", HTMLFormElement);
  const prompt = byId("prompt", HTMLTextAreaElement);
  const send = byId("send", HTMLButtonElement);
  const notice = byId("notice", HTMLElement);
  const trace = traceSwitch();
  let isRunning = false;

  form.append(
    make(
      "div",
      { class: "under" },
      trace.element,
      make("span", { class: "keys" }, "Enter sends, Shift+Enter starts a line"),
    ),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (isRunning) onStop();
    else onSend(prompt.value);
  });
  prompt.addEventListener("keydown", (event) => {
    if (!isSendKey(event)) return;
    event.preventDefault();
    if (!isRunning) onSend(prompt.value);
  });
  prompt.addEventListener("input", () => {
    draw();
    onInput();
  });

  function draw() {
    // Other browsers size the field by themselves.
    if (!CSS.supports("field-sizing", "content")) {
      prompt.style.setProperty("height", "auto");
      prompt.style.setProperty("height", `${prompt.scrollHeight}px`);
    }
    const label = isRunning ? "Stop" : "Send";
    send.replaceChildren(icon(isRunning ? "stop" : "send"));
    send.setAttribute("aria-label", label);
    send.title = label;
    send.disabled = !isRunning && !prompt.value.trim();
  }

  draw();
  return {
    trace,
    draft: () => prompt.value.trim(),
    /** Where there is a touch keyboard, it would cover the answer. */
    focus: () => {
      if (!matchMedia("(pointer: coarse)").matches) prompt.focus();
    },
    /** @param {string} text */
    setDraft(text) {
      prompt.value = text;
      draw();
    },
    /** @param {boolean} next */
    setRunning(next) {
      isRunning = next;
      draw();
    },
    /** Says something about the request that isn't an answer. @param {string} text "" removes it */
    say(text) {
      notice.textContent = text;
      notice.hidden = !text;
    },
  };
}

/** The switch for traces. It turns itself off where the server has none, and says why. */
function traceSwitch() {
  const wanted = "Trace the tokens";
  const input = make("input", { type: "checkbox", checked: true });
  const note = make("span", {}, wanted);
  return {
    element: make("label", { class: "trace", title: "Ask how each token was chosen" }, input, note),
    isOn: () => input.checked && !input.disabled,
    allow() {
      input.disabled = false;
      note.textContent = wanted;
    },
    /** @param {string} reason */
    refuse(reason) {
      input.disabled = true;
      note.textContent = `No traces: ${reason}`;
    },
  };
}

/**
 * Enter sends, and Shift+Enter starts a line. While an input method composes, Enter belongs to it.
 * @param {KeyboardEvent} event
 */
export function isSendKey(event) {
  return event.key === "Enter" && !event.shiftKey && !event.isComposing;
}
