/** What the page sends, and what a link and a code sample say of it. Pure. */

import { encode } from "./address.js";
import { traceTop } from "./client.js";
import { messages, shownAnswer } from "./conversation.js";

/** @typedef {import("./conversation.js").Conversation} Conversation */
/** @typedef {import("./conversation.js").Values} Values */

/**
 * @typedef {object} State What the page holds.
 * @property {string} model
 * @property {Conversation} conversation
 * @property {string} draft the prompt that isn't sent yet
 * @property {Values} values the parameters that are set
 */

/** Stands in the samples until there is a prompt. */
const SAMPLE_PROMPT = "Tell me a joke.";

/**
 * The request for the answer at `turn`.
 * @param {{model: string, conversation: Conversation, turn: number, values: Values}} asked
 * @param {{context: number, prefix?: number[]} | null} tracing null: no trace is wanted
 */
export function requestBody({ model, conversation, turn, values }, tracing) {
  const top = tracing ? traceTop(values, tracing.context) : 0;
  const trace = top > 0 ? { trace: tracing?.prefix ? { top, prefix: tracing.prefix } : { top } } : {};
  return { model, messages: messages(conversation, turn), ...values, stream: true, ...trace };
}

/**
 * The request that the page would send for the draft; without a draft, the latest that it sent.
 * @param {State} state
 * @returns {Record<string, unknown>}
 */
export function sampleBody(state) {
  const asked = sharedMessages(state);
  const isEmpty = asked.every(({ role }) => role === "system");
  const shown = isEmpty ? [...asked, { role: "user", content: SAMPLE_PROMPT }] : asked;
  return { model: state.model, messages: shown, ...sharedValues(state) };
}

/**
 * The fragment of a link that reproduces the same; "" for a page that nothing was done to.
 * @param {State} state
 */
export function link(state) {
  const { model, conversation, values } = state;
  const asked = sharedMessages(state);
  if (!asked.length && !Object.keys(values).length) return "";
  const turns = asked.filter(({ role }) => role !== "system");
  const system = conversation.system.trim() ? conversation.system : undefined;
  const said = turns.length > 1 ? { messages: asked } : { system, prompt: String(turns[0]?.content ?? "") };
  return encode({ model, ...said, values: sharedValues(state) });
}

/** @param {State} state */
function sharedMessages({ conversation, draft }) {
  if (draft) return [...messages(conversation), { role: "user", content: draft }];
  const isAnswered = conversation.turns.at(-1)?.role === "assistant";
  return messages(conversation, isAnswered ? -1 : undefined);
}

/** The parameters, with the seed of the latest answer if none is set. @param {State} state @returns {Values} */
function sharedValues({ conversation, draft, values }) {
  const last = conversation.turns.at(-1);
  if (draft || last?.role !== "assistant") return values;
  const seed = values.seed ?? shownAnswer(last).values.seed;
  return seed === undefined ? values : { ...values, seed };
}
