/** The page: connects the conversation, the panel, the tokens and the server. */

import { decode, LONGEST } from "./address.js";
import { copied, sayIn } from "./answer.js";
import { ApiError } from "./api.js";
import { Client } from "./client.js";
import { createComparison } from "./compare.js";
import { createComposer } from "./composer.js";
import { fromMessages, newConversation } from "./conversation.js";
import { askKey, download, showConversations } from "./dialogs.js";
import { button, byId, icon, make } from "./dom.js";
import { recall, remember } from "./memory.js";
import { Panel } from "./panel.js";
import { link, sampleBody } from "./request.js";
import { Session } from "./session.js";
import { Store } from "./store.js";
import { applyTheme, switchTheme } from "./theme.js";

/** @typedef {import("./conversation.js").Conversation} Conversation */
/** @typedef {{id: string, context_length: number | null}} Model */
/** @typedef {{models: Model[], declarations: import("./controls.js").Declaration[], useCases: import("./panel.js").UseCase[]}} Served */

const SHARE_AFTER_MS = 400;
/** The conversation that this tab shows. */
const OPEN = "oruel-open";
const DEMO_MODEL = "oruel-demo";
const UNKNOWN_CONTEXT = 131_072;

class Page {
  /**
   * @param {Served} served
   * @param {Client} client
   * @param {Store | null} store
   */
  constructor({ models, declarations, useCases }, client, store) {
    this.models = models;
    this.declarations = declarations;
    this.client = client;
    this.store = store;
    this.shareTimer = 0;

    this.main = byId("main", HTMLElement);
    this.model = byId("model", HTMLSelectElement);
    this.model.append(...models.map(({ id }) => make("option", { value: id }, id)));
    this.model.value = models.find(({ id }) => id === DEMO_MODEL)?.id ?? models[0]?.id ?? "";
    this.composer = createComposer({
      onSend: (prompt) => this.session.submit(prompt),
      onStop: () => this.session.stop(),
      onInput: () => this.shareLater(),
    });
    this.panel = new Panel(byId("panel", HTMLElement), {
      declarations: reaching(declarations, Math.max(...models.map(contextOf))),
      useCases,
      onChange: () => this.settingsChanged(),
      onSystem: (text) => {
        this.session.conversation.system = text;
      },
      onClose: () => this.showPanel(false),
      request: () => ({ body: sampleBody(this.state()), needsKey: this.client.key !== null }),
    });
    this.session = new Session({
      client,
      store,
      panel: this.panel,
      composer: this.composer,
      declarations,
      model: () => this.selectedModel(),
      onChange: () => this.share(),
    });
    this.addActions();
    this.listen();
  }

  addActions() {
    this.compareButton = button({
      label: "Compare two settings",
      icon: "compare",
      text: "Compare",
      onclick: () => this.compare(),
    });
    const copyLink = button({
      label: "Copy a link to this prompt and these parameters",
      icon: "link",
      text: "Copy link",
      onclick: async () => sayIn(copyLink, await this.copyLink()),
    });
    byId("actions", HTMLElement).append(
      button({
        label: "New conversation",
        icon: "add",
        text: "New",
        onclick: () => this.open(newConversation(this.session.conversation.system)),
      }),
      this.compareButton,
      button({ label: "Stored conversations", icon: "list", text: "Conversations", onclick: () => this.showStored() }),
      button({
        label: "Export this conversation as JSON",
        icon: "save",
        text: "Export",
        class: "quiet only-wide",
        onclick: () => download(this.session.conversation),
      }),
      copyLink,
      make(
        "a",
        { class: "quiet only-wide", href: "/docs", title: "The parameters and endpoints" },
        icon("help"),
        "Docs",
      ),
      button({ label: "Light or dark", icon: "theme", onclick: switchTheme }),
      button({ label: "Parameters", icon: "sliders", class: "quiet only-narrow", onclick: () => this.showPanel(true) }),
    );
  }

  selectedModel() {
    const model = this.models.find(({ id }) => id === this.model.value);
    return { id: this.model.value, context: model ? contextOf(model) : UNKNOWN_CONTEXT };
  }

  settingsChanged() {
    this.session.tokens.preview();
    this.comparison?.follow();
    this.shareLater();
  }

  /** @param {Conversation} conversation */
  open(conversation) {
    this.closeComparison();
    this.session.open(conversation);
  }

  listen() {
    this.model.addEventListener("change", () => {
      this.composer.trace.allow();
      this.settingsChanged();
    });
    // The fragment is the page's state, so the link must not change it.
    byId("skip", HTMLAnchorElement).addEventListener("click", (event) => {
      event.preventDefault();
      byId("prompt", HTMLTextAreaElement).focus();
    });
    addEventListener("hashchange", () => this.openAddress());
    addEventListener("keydown", (event) => {
      // A dialog closes itself.
      if (event.key !== "Escape" || event.defaultPrevented || document.querySelector("dialog[open]")) return;
      if (this.panelIsOpen()) this.showPanel(false);
      else this.session.stop();
    });
  }

  /** Two settings side by side, in place of the conversation; and back. */
  compare() {
    if (this.comparison) {
      this.closeComparison();
      return;
    }
    this.session.stop();
    this.comparison = createComparison({
      request: () => sampleBody(this.state()),
      complete: (body, options) => this.client.complete(body, options),
      context: () => this.selectedModel().context,
      parameters: this.declarations,
    });
    this.comparison.element.id = "comparison";
    this.main.append(this.comparison.element);
    this.drawComparison();
  }

  closeComparison() {
    this.comparison?.stop();
    this.comparison?.element.remove();
    this.comparison = null;
    this.drawComparison();
  }

  drawComparison() {
    this.main.toggleAttribute("data-compares", Boolean(this.comparison));
    this.compareButton?.setAttribute("aria-pressed", String(Boolean(this.comparison)));
  }

  panelIsOpen() {
    return byId("panel", HTMLElement).hasAttribute("data-open");
  }

  /** On narrow screens, the panel is a sheet. @param {boolean} isOpen */
  showPanel(isOpen) {
    const panel = byId("panel", HTMLElement);
    panel.toggleAttribute("data-open", isOpen);
    for (const id of ["talk", "tokens"]) byId(id, HTMLElement).inert = isOpen;
    if (isOpen) panel.querySelector("button")?.focus();
    else this.composer.focus();
  }

  /** @returns {import("./request.js").State} */
  state() {
    return {
      model: this.model.value,
      conversation: this.session.conversation,
      draft: this.composer.draft(),
      values: this.panel.values(),
    };
  }

  /** Brings the address and the code up to date. */
  share() {
    this.panel.refresh();
    const address = link(this.state());
    if (address.length > LONGEST) return;
    history.replaceState(null, "", address || location.pathname);
    const { id, turns } = this.session.conversation;
    remember("sessionStorage", OPEN, turns.length ? JSON.stringify({ id, address: location.hash }) : null);
  }

  /** After a reload, the stored conversation has more than the address: versions, traces and facts. */
  async reopen() {
    const { id, address } = JSON.parse(recall("sessionStorage", OPEN) ?? "{}");
    const isSame = address === location.hash;
    this.openAddress();
    const conversation = id && isSame ? await this.store?.load(id) : null;
    if (!conversation) return;
    this.composer.setDraft("");
    this.open(conversation);
  }

  shareLater() {
    clearTimeout(this.shareTimer);
    this.shareTimer = setTimeout(() => this.share(), SHARE_AFTER_MS);
  }

  /** @returns {Promise<string>} what to say about it */
  async copyLink() {
    const address = link(this.state());
    return address.length > LONGEST
      ? "Too long for a link"
      : copied(`${location.origin}${location.pathname}${address}`);
  }

  /** Loads what the address describes. Nothing is sent until the person does. */
  openAddress() {
    const { model, system, prompt, messages, values, problems } = decode(location.hash);
    if (model && this.models.some(({ id }) => id === model)) this.model.value = model;
    else if (model) problems.push(`This server has no model ${model}.`);
    const conversation = fromMessages(messages ?? []);
    conversation.system = system ?? conversation.system;
    const last = conversation.turns.at(-1);
    if (last?.role === "user") conversation.turns.pop();
    const unknown = this.panel.set(values);
    this.composer.setDraft(prompt ?? (last?.role === "user" ? last.content : ""));
    this.open(conversation);
    if (unknown.length) problems.push(`The link sets ${unknown.join(", ")}, which this page has no control for.`);
    this.composer.say(problems.join(" "));
  }

  showStored() {
    return showConversations(this.store, {
      open: (conversation) => this.open(conversation),
      removed: (id) => {
        if (id === this.session.conversation.id) this.open(newConversation());
      },
    });
  }
}

/** @param {Model} model */
function contextOf({ context_length: context }) {
  return context ?? UNKNOWN_CONTEXT;
}

/**
 * Sliders for numbers of tokens end where every model's context window does.
 * @param {Served["declarations"]} declarations
 * @param {number} context
 */
function reaching(declarations, context) {
  return declarations.map((declaration) =>
    declaration.group === "Length" ? { ...declaration, reach: context } : declaration,
  );
}

async function start() {
  applyTheme();
  const client = new Client(askKey);
  try {
    const [models, parameters] = [await client.get("/v1/models"), await client.get("/v1/parameters")];
    // Some browsers store nothing in private windows.
    const store = await Store.open().catch(() => null);
    const served = { models: models.data, declarations: parameters.data, useCases: parameters.use_cases };
    await new Page(served, client, store).reopen();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const notice = byId("notice", HTMLElement);
    notice.textContent = error.message;
    notice.hidden = false;
  }
}

start();
