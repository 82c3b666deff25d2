/** The conversation that is open: what is asked, what comes back, and what of it is shown. */

import { ApiError, wasAborted } from "./api.js";
import { randomSeed } from "./controls.js";
import { addChunk, branchPrefix, newAnswer, newConversation, shownAnswer, shownChoice } from "./conversation.js";
import { byId } from "./dom.js";
import { settingsOf } from "./parameters.js";
import { requestBody } from "./request.js";
import { createCallCard } from "./structured.js";
import { Thread } from "./thread.js";
import { TokenZone } from "./token_zone.js";

/** @typedef {import("./conversation.js").Values} Values */
/** @typedef {import("./conversation.js").Answer} Answer */
/** @typedef {import("./conversation.js").Conversation} Conversation */
/** @typedef {{values: Values, prefix: number[], known: any[], branch: Answer["branch"]}} Branch */

/**
 * @typedef {object} Parts What the session works with.
 * @property {import("./client.js").Client} client
 * @property {import("./store.js").Store | null} store null if the browser stores nothing
 * @property {import("./panel.js").Panel} panel
 * @property {ReturnType<typeof import("./composer.js").createComposer>} composer
 * @property {import("./controls.js").Declaration[]} declarations
 * @property {() => {id: string, context: number}} model the one that is selected
 * @property {() => void} onChange the conversation is another, or has changed
 */

export class Session {
  /** @param {Parts} parts */
  constructor({ client, store, panel, composer, declarations, model, onChange }) {
    this.client = client;
    this.store = store;
    this.panel = panel;
    this.composer = composer;
    this.declarations = declarations;
    this.model = model;
    this.onChange = onChange;
    this.conversation = newConversation();
    /** The request that runs. @type {AbortController | null} */
    this.running = null;
    /** The answer whose tokens are shown. */
    this.inspected = { turn: -1, choice: 0 };
    this.thread = new Thread(byId("thread", HTMLElement), {
      retry: (turn) => this.answer(turn),
      edit: (turn, text) => this.edit(turn, text),
      showVersion: (turn, version) => this.showVersion(turn, version),
      showTokens: (turn, choice) => {
        this.tokens.setFolded(false);
        this.showTokens(turn, choice);
      },
      callCard: (turn, call) => this.callCard(turn, call),
      example: ({ prompt, values }) => {
        this.panel.set(values);
        this.submit(prompt);
      },
    });
    this.tokens = new TokenZone(byId("tokens", HTMLElement), {
      onBranch: (at, candidate) => this.branch(at, candidate),
      current: () => settingsOf(this.declarations, this.panel.values()),
    });
  }

  stop() {
    this.running?.abort();
  }

  /** Another request may be sent. */
  release() {
    this.running = null;
    this.composer.setRunning(false);
  }

  /** @param {string} text */
  submit(text) {
    if (!text.trim() || !this.canSend()) return;
    const index = this.conversation.turns.length;
    this.conversation.turns.push({ role: "user", content: text });
    this.composer.setDraft("");
    this.composer.focus();
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
    const { conversation } = this;
    const { turns } = conversation;
    const values = branch?.values ?? this.panel.values();
    // The page draws the seed, so that every answer can be had again.
    const answer = newAnswer({ ...values, seed: values.seed ?? randomSeed() }, this.model().id, performance.now());
    answer.branch = branch?.branch ?? null;
    turns.length = Math.min(turns.length, index + 1);
    const turn = turns[index];
    if (turn?.role === "assistant") turn.shown = turn.answers.push(answer) - 1;
    else turns.push({ role: "assistant", answers: [answer], shown: 0 });
    this.thread.showFrom(conversation, index);
    this.inspect(index, 0);
    await this.run(answer, index, branch);
    if (conversation !== this.conversation) return;
    this.thread.finish();
    this.tokens.finish(answer.branch?.at);
    this.announce(answer);
    this.onChange();
  }

  /**
   * Ends when the answer is stored, so that what the page shows as complete survives a reload.
   * @param {Answer} answer
   * @param {number} index of its turn
   * @param {Branch} [branch]
   */
  async run(answer, index, branch) {
    const { conversation } = this;
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
      await this.save(conversation);
      if (this.running === running) this.release();
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
    const isTraced = this.composer.trace.isOn() || branch;
    const tracing = isTraced ? { context: this.model().context, prefix: branch?.prefix } : null;
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

  /** @param {Conversation} conversation */
  open(conversation) {
    this.stop();
    this.release();
    this.conversation = conversation;
    this.panel.system.value = conversation.system;
    this.tokens.clear();
    this.composer.say("");
    this.thread.show(conversation);
    const last = conversation.turns.length - 1;
    const answer = this.answerAt(last);
    if (answer) this.showTokens(last, answer.shown);
    this.onChange();
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
    this.save(this.conversation);
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
    this.tokens.finish(answer.branch?.at);
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

  /** @param {Answer} answer */
  announce(answer) {
    const { content } = shownChoice(answer);
    const end = answer.stopped ? "Stopped." : "Answer finished.";
    byId("announcer", HTMLElement).textContent = answer.problem ? "" : `${end} ${content}`;
  }

  /** @param {Conversation} conversation */
  async save(conversation) {
    conversation.updated = Date.now();
    try {
      await this.store?.save(conversation);
    } catch (error) {
      this.composer.say(`The conversation could not be stored: ${error instanceof Error ? error.message : error}`);
    }
  }
}
