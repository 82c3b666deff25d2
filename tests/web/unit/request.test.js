/** What is sent, what a link reproduces, and what the samples show. */

import assert from "node:assert/strict";
import test from "node:test";

import { decode } from "../../../src/oruel/web/js/address.js";
import { traceTop } from "../../../src/oruel/web/js/client.js";
import {
  fromMessages,
  messages,
  newAnswer,
  newConversation,
  shownAnswer,
} from "../../../src/oruel/web/js/conversation.js";
import { link, requestBody, sampleBody } from "../../../src/oruel/web/js/request.js";

const ASKED = { role: "user", content: "Hi" };
const ANSWERED = { role: "assistant", content: "Hello" };

/** @param {any[]} list @param {Partial<import("../../../src/oruel/web/js/request.js").State>} [changes] */
function stateOf(list, changes = {}) {
  return { model: "m", conversation: fromMessages(list), draft: "", values: {}, ...changes };
}

test("a request asks for a stream and a trace, and has only the parameters that are set", () => {
  const { conversation } = stateOf([ASKED]);
  const asked = { model: "m", conversation, turn: 1, values: { temperature: 0.5 } };
  const body = { model: "m", messages: [ASKED], temperature: 0.5, stream: true };
  assert.deepEqual(requestBody(asked, null), body);
  assert.deepEqual(requestBody(asked, { context: 4096 }), { ...body, trace: { top: 20 } });
  assert.deepEqual(requestBody(asked, { context: 4096, prefix: [5] }), { ...body, trace: { top: 20, prefix: [5] } });
});

test("a trace stays within the API's limit", () => {
  assert.equal(traceTop({}, 4096), 20);
  assert.equal(traceTop({ n: 8 }, 4096), 8);
  assert.equal(traceTop({ n: 8, max_tokens: 100 }, 4096), 20);
  assert.equal(traceTop({ max_completion_tokens: 131_072 }, 4096), 2);
  assert.equal(traceTop({ n: 8, max_tokens: 131_072 }, 4096), 0);
});

test("a link to an answered prompt has the prompt, the parameters and the seed that was drawn", () => {
  const state = stateOf([{ role: "system", content: "Brief." }, ASKED], { values: { top_k: 5 } });
  state.conversation.turns.push({ role: "assistant", answers: [newAnswer({ top_k: 9, seed: 7 }, "m", 0)], shown: 0 });
  const { problems, ...shared } = decode(link(state));
  assert.deepEqual(shared, { model: "m", system: "Brief.", prompt: "Hi", values: { top_k: 5, seed: 7 } });
  assert.deepEqual(problems, []);
});

test("a link to a conversation has the turns up to the latest prompt", () => {
  const list = [{ role: "system", content: "Brief." }, ASKED, ANSWERED, { role: "user", content: "More" }];
  assert.deepEqual(decode(link(stateOf([...list, ANSWERED]))).messages, list);
  const drafted = stateOf(list.slice(0, 3), { draft: "More" });
  assert.deepEqual(decode(link(drafted)).messages, list, "a draft is a prompt too");
});

test("an untouched page has a clean address", () => {
  assert.equal(link(stateOf([])), "");
  assert.equal(decode(link(stateOf([], { values: { seed: 1 } }))).values.seed, 1);
});

test("the samples show the latest request, the draft, or a prompt to begin with", () => {
  assert.deepEqual(sampleBody(stateOf([])).messages, [{ role: "user", content: "Tell me a joke." }]);
  assert.deepEqual(sampleBody(stateOf([ASKED, ANSWERED])).messages, [ASKED]);
  assert.deepEqual(sampleBody(stateOf([], { draft: "Hi" })).messages, [ASKED]);
});

test("a request that failed leaves no empty answer in the next one", () => {
  const conversation = newConversation();
  conversation.turns.push({ role: "user", content: "Hi" });
  conversation.turns.push({ role: "assistant", answers: [newAnswer({}, "m", 0)], shown: 0 });
  conversation.turns.push({ role: "user", content: "Hi?" });
  assert.deepEqual(messages(conversation), [ASKED, { role: "user", content: "Hi?" }]);
});

test("messages with hostile shapes become turns or nothing", () => {
  const calls = [null, { id: 1 }, { id: "a", function: { name: {}, arguments: "" } }];
  const conversation = fromMessages([
    { role: "wizard" },
    { role: "user", content: { a: 1 } },
    { role: "assistant", tool_calls: calls },
  ]);
  const [user, assistant, ...others] = conversation.turns;
  assert.deepEqual(user, { role: "user", content: "" });
  assert.ok(assistant.role === "assistant");
  assert.deepEqual(shownAnswer(assistant).choices[0].calls, []);
  assert.deepEqual(others, []);
});
