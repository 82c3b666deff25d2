/** The page: connects the conversation, the panel, the tokens and the server. */

import { ApiError, wasAborted } from "./api.js";
import { decode, LONGEST } from "./address.js";
import { copied, sayIn } from "./answer.js";
import { Client } from "./client.js";
import { createComposer } from "./composer.js";
import { createComparison } from "./compare.js";
import { randomSeed } from "./controls.js";
import { addChunk, branchPrefix, fromMessages, newAnswer, newConversation, shownAnswer, shownChoice } from "./conversation.js";
import { askKey, download, showConversations } from "./dialogs.js";
import { button, byId, make } from "./dom.js";
import { Panel } from "./panel.js";
import { settingsOf } from "./parameters.js";
import { link, requestBody, sampleBody } from "./request.js";
import { Store } from "./store.js";
import { createCallCard } from "./structured.js";
import { applyTheme, switchTheme } from "./theme.js";
import { Thread } from "./thread.js";
import { TokenZone } from "./token_zone.js";

/** @typedef {import("./conversation.js").Values} Values */
/** @typedef {import("./conversation.js").Answer} Answer */
/** @typedef {import("./conversation.js").Conversation} Conversation */
/** @typedef {{values: Values, prefix: number[], known: any[], branch: Answer["branch"]}} Branch */
/** @typedef {{id: string, context_length: number | null}} Model */
/** @typedef {{models: Model[], declarations: import("./controls.js").Declaration[], useCases: import("./panel.js").UseCase[]}} Served */

const SHARE_AFTER_MS = 400;
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
    this.conversation = newConversation();
    /** The request that runs. @type {AbortController | null} */
    this.running = null;
    /** The answer whose tokens are shown. */
    this.inspected = { turn: -1, choice: 0 };
    this.shareTimer = 0;

    this.main = byId("main", HTMLElement);
    this.model = byId("model", HTMLSelectElement);
    this.model.append(...models.map(({ id }) => make("option", { value: id }, id)));
    this.model.value = models.find(({ id }) => id === DEMO_MODEL)?.id ?? models[0]?.id ?? "";
    this.composer = createComposer({
      onSend: (prompt) => this.submit(prompt),
      onStop: () => this.running?.abort(),
      onInput: () => this.shareLater(),
    });
    this.panel = new Panel(byId("panel", HTMLElement), {
      declarations,
      useCases,
      onChange: () => this.settingsChanged(),
      onClose: () => this.showPanel(false),
      request: () => ({ body: sampleBody(this.state()), needsKey: this.client.key !== null }),
    });
    this.thread = new Thread(byId("thread", HTMLElement), {
      retry: (turn) => this.answer(turn),
      edit: (turn, text) => this.edit(turn, text),
      showVersion: (turn, version) => this.showVersion(turn, version),
      showTokens: (turn, choice) => this.showTokens(turn, choice),
      callCard: (turn, call) => this.callCard(turn, call),
      example: ({ prompt, values }) => {
        this.panel.set(values);
        this.submit(prompt);
      },
    });
    this.tokens = new TokenZone(byId("tokens", HTMLElement), {
      onBranch: (at, candidate) => this.branch(at, candidate),
    });
    this.addActions();
    this.listen();
  }

  addActions() {
    this.compareButton = button({ label: "Compare two settings", icon: "compare", text: "Compare", onclick: () => this.compare() });
    const copyLink = button({
      label: "Copy a link to this prompt and these parameters",
      icon: "link",
      text: "Copy link",
      onclick: async () => sayIn(copyLink, await this.copyLink()),
    });
    byId("actions", HTMLElement).append(
      button({ label: "New conversation", icon: "add", text: "New", onclick: () => this.open(newConversation(this.conversation.system)) }),
      this.compareButton,
      button({ label: "Stored conversations", icon: "list", text: "Conversations", onclick: () => this.showStored() }),
      button({
        label: "Export this conversation as JSON",
        icon: "save",
        text: "Export",
        class: "quiet only-wide",
        onclick: () => download(this.conversation),
      }),
      copyLink,
      button({ label: "Light or dark", icon: "theme", onclick: switchTheme }),
      button({ label: "Parameters", icon: "sliders", class: "quiet only-narrow", onclick: () => this.showPanel(true) }),
    );
  }

  listen() {
    this.panel.system.addEventListener("input", () => {
      this.conversation.system = this.panel.system.value;
      this.shareLater();
    });
    this.model.addEventListener("change", () => {
      this.composer.trace.allow();
      this.settingsChanged();
    });
    addEventListener("hashchange", () => this.openAddress());
    addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || event.defaultPrevented) return;
      if (this.panelIsOpen()) this.showPanel(false);
      else this.running?.abort();
    });
  }

  // Requests

  /** @param {string} text */
  submit(text) {
    if (!text.trim() || !this.canSend()) return;
    const index = this.conversation.turns.length;
    this.conversation.turns.push({ role: "user", content: text });
    this.composer.setDraft("");
    this.thread.showFrom(this.conversation, index);
    this.answer(index + 1);
  }

  /**
   * @param {number} turn
   * @param {string} text
   */
  edit(turn, text) {
    if (!this.canSend()) return;
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
    const before = this.answerAt(turn);
    if (!before) return;
    const { trace } = before.choices[choice];
    const { n: _, ...values } = before.values;
    this.answer(turn, {
      values,
      prefix: branchPrefix(before.choices[choice], at, candidate.id),
      known: trace.slice(0, at),
      branch: { choice, at, from: trace[at].token, to: candidate.token },
    });
  }

  /**
   * The card of a call. Once all calls of the answer have a result, the model goes on.
   * @param {number} turn
   * @param {import("./conversation.js").Call} call
   */
  callCard(turn, call) {
    const card = createCallCard(call, {
      onResult: (content) => {
        const { turns } = this.conversation;
        turns.push({ role: "tool", id: call.id, content });
        this.thread.showFrom(this.conversation, turns.length - 1);
        const answer = this.answerAt(turn);
        if (answer && turns.length > turn + shownChoice(answer).calls.length) this.answer(turns.length);
      },
    });
    const result = this.conversation.turns.slice(turn).find((other) => other.role === "tool" && other.id === call.id);
    if (result?.role === "tool") card.setResult(result.content);
    return card;
  }

  /**
   * Asks for an answer as turn `index`. If there is one, the new one becomes its latest version; turns after it go.
   * @param {number} index
   * @param {Branch} [branch]
   */
  async answer(index, branch) {
    if (!this.canSend()) return;
    const { turns } = this.conversation;
    const values = branch?.values ?? this.panel.values();
    // The page draws the seed, so that every answer can be had again.
    const answer = newAnswer({ ...values, seed: values.seed ?? randomSeed() }, this.model.value, performance.now());
    answer.branch = branch?.branch ?? null;
    turns.length = Math.min(turns.length, index + 1);
    const turn = turns[index];
    if (turn?.role === "assistant") turn.shown = turn.answers.push(answer) - 1;
    else turns.push({ role: "assistant", answers: [answer], shown: 0 });
    this.thread.showFrom(this.conversation, index);
    this.inspect(index, 0);
    await this.run(answer, index, branch);
    this.announce(answer);
    this.save();
    this.share();
  }

  /**
   * @param {Answer} answer
   * @param {number} index of its turn
   * @param {Branch} [branch]
   */
  async run(answer, index, branch) {
    const running = new AbortController();
    this.running = running;
    this.composer.setRunning(true);
    try {
      await this.stream(answer, index, running.signal, branch);
    } catch (error) {
      if (wasAborted(error)) answer.stopped = true;
      else if (error instanceof ApiError) this.fail(answer, error);
      else throw error;
    } finally {
      answer.ended = performance.now();
      this.running = null;
      this.composer.setRunning(false);
      this.thread.finish();
      this.tokens.finish();
    }
  }

  /**
   * @param {Answer} answer
   * @param {number} turn
   * @param {AbortSignal} signal
   * @param {Branch} [branch]
   */
  stream(answer, turn, signal, branch) {
    const { conversation } = this;
    const context = this.models.find(({ id }) => id === answer.model)?.context_length ?? UNKNOWN_CONTEXT;
    const tracing = this.composer.trace.isOn() || branch ? { context, prefix: branch?.prefix } : null;
    const body = requestBody({ model: answer.model, conversation, turn, values: answer.values }, tracing);
    return this.client.complete(body, {
      signal,
      onStart: (receipt) => {
        answer.receipt = receipt;
      },
      onTraceRefused: (reason) => this.composer.trace.refuse(reason),
      onChunk: (chunk) => {
        addChunk(answer, chunk, performance.now(), branch?.known);
        this.thread.grow();
        this.tokens.show(answer.choices[0]?.trace ?? []);
      },
    });
  }

  /**
   * @param {Answer} answer
   * @param {ApiError} error
   */
  fail(answer, { message, param, status, requestId }) {
    answer.problem = { message, param, status, requestId };
    this.panel.showProblem(param, message);
  }

  canSend() {
    if (this.running) return false;
    const problem = this.panel.findProblem();
    this.composer.say(problem ? `${problem.param}: ${problem.message}` : "");
    return !problem;
  }

  // What is shown

  /** @param {Conversation} conversation */
  open(conversation) {
    this.running?.abort();
    this.closeComparison();
    this.conversation = conversation;
    this.panel.system.value = conversation.system;
    this.tokens.clear();
    this.composer.say("");
    this.thread.show(conversation);
    const last = conversation.turns.length - 1;
    const answer = this.answerAt(last);
    if (answer) this.showTokens(last, answer.shown);
    this.share();
    this.composer.focus();
  }

  /**
   * @param {number} index
   * @returns {Answer | null} the version that is shown
   */
  answerAt(index) {
    const turn = this.conversation.turns[index];
    return turn?.role === "assistant" ? shownAnswer(turn) : null;
  }

  /**
   * @param {number} index
   * @param {number} version
   */
  showVersion(index, version) {
    const turn = this.conversation.turns[index];
    if (turn.role !== "assistant" || this.running) return;
    turn.shown = version;
    this.thread.showFrom(this.conversation, index);
    this.showTokens(index, shownAnswer(turn).shown);
    this.save();
  }

  /**
   * @param {number} turn
   * @param {number} choice
   */
  showTokens(turn, choice) {
    const answer = this.answerAt(turn);
    if (!answer) return;
    answer.shown = choice;
    this.inspect(turn, choice);
    this.tokens.show(shownChoice(answer).trace);
    this.tokens.finish();
  }

  /**
   * @param {number} turn
   * @param {number} choice
   */
  inspect(turn, choice) {
    const answer = this.answerAt(turn);
    this.inspected = { turn, choice };
    if (answer) this.tokens.begin(settingsOf(this.declarations, answer.values));
  }

  settingsChanged() {
    this.tokens.preview(settingsOf(this.declarations, this.panel.values()));
    this.comparison?.follow();
    this.shareLater();
  }

  /** Two settings side by side, in place of the conversation; and back. */
  compare() {
    if (this.comparison) {
      this.closeComparison();
      return;
    }
    this.running?.abort();
    this.comparison = createComparison({
      request: () => sampleBody(this.state()),
      complete: (body, options) => this.client.complete(body, options),
      context: () => this.models.find(({ id }) => id === this.model.value)?.context_length ?? UNKNOWN_CONTEXT,
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

  /** @param {Answer} answer */
  announce(answer) {
    const { content } = shownChoice(answer);
    const end = answer.stopped ? "Stopped." : "Answer finished.";
    byId("announcer", HTMLElement).textContent = answer.problem ? "" : `${end} ${content}`;
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
    else this.composer.focus();
  }

  // The address and the store

  /** @returns {import("./request.js").State} */
  state() {
    return {
      model: this.model.value,
      conversation: this.conversation,
      draft: this.composer.draft(),
      values: this.panel.values(),
    };
  }

  share() {
    const address = link(this.state());
    if (address.length <= LONGEST) history.replaceState(null, "", address);
  }

  shareLater() {
    clearTimeout(this.shareTimer);
    this.shareTimer = setTimeout(() => this.share(), SHARE_AFTER_MS);
  }

  /** @returns {Promise<string>} what to say about it */
  async copyLink() {
    const address = link(this.state());
    return address.length > LONGEST ? "Too long for a link" : copied(`${location.origin}${location.pathname}${address}`);
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
        if (id === this.conversation.id) this.open(newConversation());
      },
    });
  }

  async save() {
    this.conversation.updated = Date.now();
    try {
      await this.store?.save(this.conversation);
    } catch (error) {
      this.composer.say(`The conversation could not be stored: ${error instanceof Error ? error.message : error}`);
    }
  }
}

async function start() {
  applyTheme();
  const client = new Client(askKey);
  try {
    const [models, parameters] = [await client.get("/v1/models"), await client.get("/v1/parameters")];
    // Some browsers store nothing in private windows.
    const store = await Store.open().catch(() => null);
    const served = { models: models.data, declarations: parameters.data, useCases: parameters.use_cases };
    new Page(served, client, store).openAddress();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const notice = byId("notice", HTMLElement);
    notice.textContent = error.message;
    notice.hidden = false;
  }
}

start();
