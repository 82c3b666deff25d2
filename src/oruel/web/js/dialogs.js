/** The dialogs: for an API key, and with the conversations stored in this browser. */

import { button, make } from "./dom.js";
import { exported } from "./store.js";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./conversation.js").Conversation} Conversation */

/** @type {import("./client.js").AskKey} */
export function askKey(reason) {
  const field = make("input", {
    type: "password",
    class: "field",
    autocomplete: "off",
    required: true,
    "aria-label": "API key",
  });
  const keep = make("input", { type: "checkbox" });
  const form = make(
    "form",
    { method: "dialog" },
    make("h2", { id: "key-title" }, "API key"),
    make("p", {}, reason),
    field,
    make("label", { class: "tick-box" }, keep, "Keep it until this tab is closed"),
    make("p", {}, "The key is sent to this server only. Without the tick it is forgotten when the page is reloaded."),
    make(
      "div",
      { class: "buttons" },
      make("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, "Cancel"),
      make("button", { class: "solid", value: "use" }, "Use this key"),
    ),
  );
  const dialog = make("dialog", { "aria-labelledby": "key-title" }, form);
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const key = field.value.trim();
      dialog.remove();
      resolve(dialog.returnValue === "use" && key ? { key, keep: keep.checked } : null);
    });
    show(dialog);
  });
}

/**
 * The stored conversations, to reopen, export and delete.
 * @param {Store | null} store null if this browser stores nothing
 * @param {{open: (conversation: Conversation) => void, removed: (id: string) => void}} actions
 */
export async function showConversations(store, { open, removed }) {
  const list = make("ul", { class: "saved" });
  const note = make("p", {});
  const dialog = make(
    "dialog",
    { "aria-labelledby": "saved-title", onclose: () => dialog.remove() },
    make(
      "div",
      { class: "dialog-head" },
      make("h2", { id: "saved-title" }, "Conversations"),
      button({ label: "Close", icon: "close", onclick: () => dialog.close() }),
    ),
    note,
    list,
  );

  const draw = async () => {
    const entries = (await store?.list()) ?? [];
    note.textContent = !store
      ? "This browser doesn't let the page store conversations."
      : entries.length
        ? "They are stored in this browser only."
        : "Nothing yet. Conversations are stored in this browser only.";
    list.replaceChildren(...entries.map((entry) => row(entry)));
  };
  /** @param {import("./store.js").Entry} entry */
  const row = ({ id, title, updated, turns }) =>
    make(
      "li",
      {},
      make(
        "button",
        {
          type: "button",
          class: "open",
          onclick: () =>
            withConversation(id, (conversation) => {
              dialog.close();
              open(conversation);
            }),
        },
        make("strong", {}, title),
        make(
          "span",
          {},
          `${new Date(updated).toLocaleString([], { dateStyle: "medium", timeStyle: "short" })} · ${turns} turns`,
        ),
      ),
      button({ label: `Export “${title}” as JSON`, icon: "save", onclick: () => withConversation(id, download) }),
      button({
        label: `Delete “${title}”`,
        icon: "remove",
        onclick: async () => {
          await store?.remove(id);
          removed(id);
          await draw();
        },
      }),
    );
  /**
   * @param {string} id
   * @param {(conversation: Conversation) => void} act
   */
  const withConversation = async (id, act) => {
    const conversation = await store?.load(id);
    if (conversation) act(conversation);
    else await draw();
  };

  await draw();
  show(dialog);
}

/** @param {Conversation} conversation */
export function download(conversation) {
  const url = URL.createObjectURL(new Blob([exported(conversation)], { type: "application/json" }));
  const day = new Date(conversation.updated).toISOString().slice(0, 10);
  make("a", { href: url, download: `conversation-${day}-${conversation.id.slice(0, 8)}.json` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** @param {HTMLDialogElement} dialog */
function show(dialog) {
  document.body.append(dialog);
  dialog.showModal();
}
