// The page: connects the conversation, the panel, the tokens and the server.

import { ApiError, wasAborted } from "./api.js";
import { decode, encode, LONGEST } from "./address.js";
import { Client, traceTop } from "./client.js";
import { randomSeed } from "./controls.js";
import {
  addChunk, branchPrefix, fromMessages, messages, newAnswer, newConversation, shownAnswer, shownChoice,
} from "./conversation.js";
import { copied, sayIn } from "./answer.js";
import { askKey, download, showConversations } from "./dialogs.js";
import { button, byId, icon, make } from "./dom.js";
import { Panel } from "./panel.js";
import { settingsOf } from "./parameters.js";
import { Store } from "./store.js";
import { isSendKey, Thread } from "./thread.js";
import { TokenZone } from "./token_zone.js";

/** @typedef {import("./conversation.js").Values} Values */
/** @typedef {import("./conversation.js").Answer} Answer */
/** @typedef {{id: string, context_length: number | null}} Model */

const SAVE_AFTER_MS = 400;

class Page {
  /**
   * @param {{models: Model[], declarations: import("./controls.js").Declaration[], useCases: import("./panel.js").UseCase[]}} served
   * @param {{client: Client, store: Store | null, structured: any}} parts
   */
  constructor({ models, declarations, useCases }, { client, store, structured }) {
    this.models = models;
    this.declarations = declarations;
    this.client = client;
    this.store = store;
    this.conversation = newConversation();
    /** @type {AbortController | null} */
    this.running = null;
    this.savedAt = 0;
    this.addressAt = 0;

    this.notice = byId("notice", HTMLElement);
    this.prompt = byId("prompt", HTMLTextAreaElement);
    this.send = byId("send", HTMLButtonElement);
    this.model = byId("model", HTMLSelectElement);
    this.model.append(...models.map(({ id }) => make("option", { value: id }, id)));
    this.model.value = models.find(({ id }) => id === "oruel-demo")?.id ?? models[0]?.id ?? "";
    this.trace = traceSwitch();
    this.panel = new Panel(byId("panel", HTMLElement), {
      declarations, useCases, structured,
      onChange: () => this.settingsChanged(),
      onClose: () => this.showPanel(false),
      request: () => this.sampleRequest(),
    });
    this.thread = new Thread(byId("thread", HTMLElement), {
      retry: (turn) => this.answer(turn),
      edit: (turn, text) => this.edit(turn, text),
      showVersion: (turn, version) => this.showVersion(turn, version),
      showTokens: (turn, choice) => this.showTokens(turn, choice),
      callCard: (call) => make("pre", { class: "call" }, `${call.function.name}(${call.function.arguments})`),
      example: ({ prompt, values }) => { this.panel.set(values); this.submit(prompt); },
    });
    this.tokens = new TokenZone(byId("tokens", HTMLElement), {
      onBranch: (at, candidate) => this.branch(at, candidate),
    });
    /** The answer whose tokens are shown. @type {{turn: number, choice: number}} */
    this.inspected = { turn: -1, choice: 0 };
    this.listen();
    this.drawSend();
  }

  listen() {
    byId("composer", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.running) this.running.abort();
      else this.submit(this.prompt.value);
    });
    this.prompt.addEventListener("keydown", (event) => {
      if (!isSendKey(event)) return;
      event.preventDefault();
      if (!this.running) this.submit(this.prompt.value);
    });
    this.prompt.addEventListener("input", () => { this.drawSend(); this.shareLater(); });
    this.panel.system.addEventListener("input", () => { this.conversation.system = this.panel.system.value; });
    this.model.addEventListener("change", () => { this.trace.allow(); this.settingsChanged(); });
    byId("composer", HTMLFormElement).append(make("div", { class: "under" }, this.trace.element,
      make("span", { class: "keys" }, "Enter sends, Shift+Enter starts a line")));
    byId("actions", HTMLElement).append(
      button({ label: "New conversation", icon: "add", text: "New", onclick: () => this.open(newConversation(this.conversation.system)) }),
      button({ label: "Stored conversations", icon: "list", text: "Conversations", onclick: () => showConversations(this.store, {
        open: (conversation) => this.open(conversation),
        removed: (id) => { if (id === this.conversation.id) this.open(newConversation()); },
      }) }),
      button({ label: "Export this conversation as JSON", icon: "save", text: "Export", onclick: () => download(this.conversation) }),
      this.linkButton(),
      button({ label: "Light or dark", icon: "theme", onclick: switchTheme }),
      button({ label: "Parameters", icon: "sliders", class: "quiet only-narrow", onclick: () => this.showPanel(true) }),
    );
    addEventListener("hashchange", () => this.openAddress());
    addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      if (this.panelIsOpen()) this.showPanel(false);
      else this.running?.abort();
    });
  }

  // Requests

  /** @param {string} text */
  submit(text) {
    if (!text.trim() || this.running || !this.canSend()) return;
    const index = this.conversation.turns.length;
    this.conversation.turns.push({ role: "user", content: text });
    this.prompt.value = "";
    this.thread.showFrom(this.conversation, index);
    this.answer(index + 1);
  }

  /**
   * @param {number} turn
   * @param {string} text
   */
  edit(turn, text) {
    if (this.running || !this.canSend()) return;
    this.conversation.turns.splice(turn, Infinity, { role: "user", content: text });
    this.thread.showFrom(this.conversation, turn);
    this.answer(turn + 1);
  }

  /**
   * Goes on from another candidate of a token that is shown.
   * @param {number} at
   * @param {{id: number, token: string}} candidate
   */
  branch(at, candidate) {
    const { turn, choice } = this.inspected;
    const answered = this.conversation.turns[turn];
    if (answered?.role !== "assistant" || this.running) return;
    const before = shownAnswer(answered);
    const { trace } = before.choices[choice];
    this.answer(turn, {
      values: { ...before.values, n: undefined },
      prefix: branchPrefix(before.choices[choice], at, candidate.id),
      branch: { choice, at, from: trace[at].token, to: candidate.token },
    });
  }

  /**
   * Asks for an answer as turn `index`. If there is one, the new one becomes its latest version; turns after it go.
   * @param {number} index
   * @param {{values: Values, prefix: number[], branch: Answer["branch"]}} [branch]
   */
  async answer(index, branch) {
    if (this.running || !this.canSend()) return;
    const { turns } = this.conversation;
    const values = withoutUnset(branch?.values ?? this.panel.values());
    // The page draws the seed, so that every answer can be had again.
    const answer = newAnswer({ ...values, seed: values.seed ?? randomSeed() }, this.model.value, performance.now());
    answer.branch = branch?.branch ?? null;
    turns.length = Math.min(turns.length, index + 1);
    const turn = turns[index];
    if (turn?.role === "assistant") turn.shown = turn.answers.push(answer) - 1;
    else turns.splice(index, Infinity, { role: "assistant", answers: [answer], shown: 0 });
    this.thread.showFrom(this.conversation, index);
    this.inspect(index, 0);
    this.running = new AbortController();
    this.drawSend();
    await this.stream(answer, index, branch?.prefix);
    answer.ended = performance.now();
    this.running = null;
    this.thread.finish();
    this.tokens.finish();
    this.announce(answer);
    this.drawSend();
    this.save();
    this.share();
  }

  /**
   * @param {Answer} answer
   * @param {number} index
   * @param {number[]} [prefix]
   */
  async stream(answer, index, prefix) {
    const body = this.body(answer.values, index, prefix);
    try {
      await this.client.complete(body, {
        signal: this.running?.signal,
        onStart: (receipt) => { answer.receipt = receipt; },
        onTraceRefused: (reason) => this.trace.refuse(reason),
        onChunk: (chunk) => {
          addChunk(answer, chunk, performance.now());
          this.thread.grow();
          for (const { index: choice, trace } of chunk.choices) if (choice === 0 && trace) this.tokens.add(trace);
        },
      });
    } catch (error) {
      if (wasAborted(error)) answer.stopped = true;
      else this.fail(answer, error);
    }
  }

  /**
   * @param {Values} values
   * @param {number} index of the answer's turn
   * @param {number[]} [prefix]
   */
  body(values, index, prefix) {
    const context = this.models.find(({ id }) => id === this.model.value)?.context_length ?? 131_072;
    const top = this.trace.isOn() || prefix ? traceTop(values, context) : 0;
    const trace = top > 0 ? { trace: prefix ? { top, prefix } : { top } } : {};
    return { model: this.model.value, messages: messages(this.conversation, index), ...values, stream: true, ...trace };
  }

  /**
   * @param {Answer} answer
   * @param {unknown} error
   */
  fail(answer, error) {
    if (!(error instanceof ApiError)) throw error;
    const { message, param, status, requestId } = error;
    answer.problem = { message, param, status, requestId };
    this.panel.parameters.showProblem(param, message);
  }

  canSend() {
    const problem = this.panel.parameters.findProblem();
    this.say(problem ? `${problem.param}: ${problem.message}` : "");
    if (!problem) this.panel.parameters.clearProblems();
    return !problem;
  }

  // What is shown

  /** @param {import("./conversation.js").Conversation} conversation */
  open(conversation) {
    this.running?.abort();
    this.conversation = conversation;
    this.panel.system.value = conversation.system;
    this.tokens.clear();
    this.say("");
    this.thread.show(conversation);
    const last = conversation.turns.length - 1;
    const turn = conversation.turns[last];
    if (turn?.role === "assistant") this.showTokens(last, shownAnswer(turn).shown);
    this.share();
    this.prompt.focus();
  }

  /**
   * @param {number} turn
   * @param {number} version
   */
  showVersion(turn, version) {
    const answered = this.conversation.turns[turn];
    if (answered.role !== "assistant" || this.running) return;
    answered.shown = version;
    this.thread.showFrom(this.conversation, turn);
    this.showTokens(turn, shownAnswer(answered).shown);
    this.save();
  }

  /**
   * @param {number} turn
   * @param {number} choice
   */
  showTokens(turn, choice) {
    const answered = this.conversation.turns[turn];
    if (answered?.role !== "assistant") return;
    const answer = shownAnswer(answered);
    answer.shown = choice;
    this.inspect(turn, choice);
    this.tokens.add(shownChoice(answer).trace);
    this.tokens.finish();
  }

  /**
   * @param {number} turn
   * @param {number} choice
   */
  inspect(turn, choice) {
    const answered = this.conversation.turns[turn];
    if (answered?.role !== "assistant") return;
    this.inspected = { turn, choice };
    this.tokens.begin(settingsOf(this.declarations, shownAnswer(answered).values));
  }

  settingsChanged() {
    this.tokens.preview(settingsOf(this.declarations, this.panel.values()));
    this.shareLater();
  }

  /** @param {Answer} answer */
  announce(answer) {
    const { content } = shownChoice(answer);
    const end = answer.problem ? `The request failed. ${answer.problem.message}` : answer.stopped ? "Stopped." : "Answer finished.";
    byId("announcer", HTMLElement).textContent = `${end} ${content}`;
  }

  /** @param {string} text */
  say(text) {
    this.notice.textContent = text;
    this.notice.hidden = !text;
  }

  drawSend() {
    const label = this.running ? "Stop" : "Send";
    this.send.replaceChildren(icon(this.running ? "stop" : "send"));
    this.send.setAttribute("aria-label", label);
    this.send.title = label;
    this.send.disabled = !this.running && !this.prompt.value.trim();
  }

  panelIsOpen() {
    return byId("panel", HTMLElement).hasAttribute("data-open");
  }

  /** On narrow screens, the panel is a sheet. @param {boolean} isOpen */
  showPanel(isOpen) {
    const panel = byId("panel", HTMLElement);
    panel.toggleAttribute("data-open", isOpen);
    byId("talk", HTMLElement).inert = isOpen;
    if (isOpen) panel.querySelector("button")?.focus();
    else this.prompt.focus();
  }

  // The address and the store

  /** What the page would send for the draft; without one, for the latest answer. */
  sampleRequest() {
    const draft = this.prompt.value.trim();
    const { turns } = this.conversation;
    const sent = messages(this.conversation, turns.at(-1)?.role === "assistant" ? -1 : undefined);
    const all = draft ? [...messages(this.conversation), { role: "user", content: draft }] : sent;
    const shown = all.length ? all : [{ role: "user", content: "Tell me a joke." }];
    return { body: { model: this.model.value, messages: shown, ...this.sharedValues() }, needsKey: this.client.key !== null };
  }

  /** The parameters, with the seed of the latest answer if none is set. */
  sharedValues() {
    const values = this.panel.values();
    const last = this.conversation.turns.at(-1);
    if (this.prompt.value.trim() || last?.role !== "assistant") return values;
    return { ...values, seed: values.seed ?? shownAnswer(last).values.seed };
  }

  address() {
    const { messages: list } = /** @type {any} */ (this.sampleRequest().body);
    const turns = list.filter((/** @type {any} */ message) => message.role !== "system");
    const isEmpty = !this.conversation.turns.length && !this.prompt.value.trim();
    const isSingle = turns.length === 1;
    const system = this.conversation.system.trim() ? this.conversation.system : undefined;
    return encode({
      model: this.model.value,
      ...(isEmpty ? { system } : isSingle ? { system, prompt: turns[0].content } : { messages: list }),
      values: withoutUnset(this.sharedValues()),
    });
  }

  share() {
    const address = this.address();
    if (address.length <= LONGEST) history.replaceState(null, "", address || location.pathname);
  }

  shareLater() {
    clearTimeout(this.addressAt);
    this.addressAt = setTimeout(() => this.share(), SAVE_AFTER_MS);
  }

  linkButton() {
    const link = button({ label: "Copy a link to this prompt and these parameters", icon: "link", text: "Copy link", onclick: async () => {
      const address = this.address();
      const url = `${location.origin}${location.pathname}${address}`;
      sayIn(link, address.length > LONGEST ? "Too long for a link" : await copied(url));
    } });
    return link;
  }

  /** Loads what the address describes. Nothing is sent until the person does. */
  openAddress() {
    const { model, system, prompt, messages: list, values, problems } = decode(location.hash);
    if (model && this.models.some(({ id }) => id === model)) this.model.value = model;
    else if (model) problems.push(`This server has no model ${model}.`);
    const conversation = fromMessages(list ?? []);
    if (system !== undefined) conversation.system = system;
    const last = conversation.turns.at(-1);
    if (last?.role === "user") conversation.turns.pop();
    const untaken = this.panel.set(values);
    this.open(conversation);
    this.prompt.value = prompt ?? (last?.role === "user" ? last.content : "");
    if (untaken.length) problems.push(`This page has no control for ${untaken.join(", ")}.`);
    this.say(problems.join(" "));
    this.drawSend();
    this.share();
  }

  async save() {
    this.conversation.updated = Date.now();
    try {
      await this.store?.save(this.conversation);
    } catch (error) {
      this.say(`The conversation could not be stored: ${error instanceof Error ? error.message : error}`);
    }
  }
}

/** @param {Values} values */
function withoutUnset(values) {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

/** The switch for traces. It turns itself off where the server has none, and says why. */
function traceSwitch() {
  const input = make("input", { type: "checkbox", checked: true });
  const note = make("span", {}, "Trace the tokens");
  return {
    element: make("label", { class: "trace", title: "Ask how each token was chosen" }, input, note),
    isOn: () => input.checked && !input.disabled,
    allow: () => { input.disabled = false; note.textContent = "Trace the tokens"; },
    /** @param {string} reason */
    refuse: (reason) => { input.disabled = true; note.textContent = `No traces: ${reason}`; },
  };
}

function switchTheme() {
  const isDark = getComputedStyle(document.documentElement).colorScheme === "dark" ||
    (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = isDark ? "light" : "dark";
  localStorage.setItem("oruel-theme", document.documentElement.dataset.theme);
}

/** js/structured.js, if this page has it. */
async function structuredPanel() {
  try {
    const name = "./structured.js";
    return (await import(name)).createStructuredPanel({ onChange: () => {} });
  } catch {
    return null;
  }
}

async function start() {
  const theme = localStorage.getItem("oruel-theme");
  if (theme) document.documentElement.dataset.theme = theme;
  const client = new Client(askKey);
  try {
    const [models, parameters] = [await client.get("/v1/models"), await client.get("/v1/parameters")];
    const store = await Store.open().catch(() => null);
    const page = new Page(
      { models: models.data, declarations: parameters.data, useCases: parameters.use_cases },
      { client, store, structured: await structuredPanel() },
    );
    page.openAddress();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const notice = byId("notice", HTMLElement);
    notice.textContent = error.message;
    notice.hidden = false;
  }
}

start();
