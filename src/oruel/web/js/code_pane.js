/** The request that the page would send, as code to copy. */

import { copyButton } from "./answer.js";
import { LANGUAGES, sample } from "./code.js";
import { make } from "./dom.js";
import { tabList } from "./tabs.js";

export class CodePane {
  /** @param {import("./panel.js").PanelOptions["request"]} request */
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
