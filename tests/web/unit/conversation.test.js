/** Conversations as data: what is sent, what an answer gains from chunks, and where it branches. */

import assert from "node:assert/strict";
import test from "node:test";

import {
  addChunk,
  branchPrefix,
  fromMessages,
  messages,
  newAnswer,
  newConversation,
  titleOf,
  tokensPerSecond,
} from "../../../src/oruel/web/js/conversation.js";

/** @param {any[]} choices */
function answered(...choices) {
  const answer = newAnswer({}, "model", 0);
  for (const [now, choice] of choices.entries()) addChunk(answer, { choices: [choice] }, now);
  return answer;
}

/** @param {string} content */
const text = (content) => ({ index: 0, delta: { content } });

test("an answer gains the text, the calls and the usage of its chunks", () => {
  const answer = answered(
    { index: 0, delta: { role: "assistant", content: "" } },
    text("Hel"),
    text("lo"),
    { index: 0, delta: { tool_calls: [{ index: 0, id: "call-1", function: { name: "add", arguments: '{"a"' } }] } },
    { index: 0, delta: { tool_calls: [{ index: 0, function: { arguments: ": 1}" } }] } },
    { index: 0, delta: {}, finish_reason: "tool_calls" },
  );
  const [{ content, calls, finish }] = answer.choices;
  assert.equal(content, "Hello");
  assert.deepEqual(calls, [{ id: "call-1", type: "function", function: { name: "add", arguments: '{"a": 1}' } }]);
  assert.equal(finish, "tool_calls");
  assert.equal(answer.first, 1, "the chunk with the role has no token");
});

test("several choices grow side by side", () => {
  const answer = answered({ index: 1, delta: { content: "b" } }, { index: 0, delta: { content: "a" } });
  assert.deepEqual(
    answer.choices.map(({ content }) => content),
    ["a", "b"],
  );
});

test("the messages of a request end where the answer begins", () => {
  const conversation = newConversation("Be brief.");
  conversation.turns.push({ role: "user", content: "Hi" });
  conversation.turns.push({ role: "assistant", answers: [answered(text("No")), answered(text("Yes"))], shown: 1 });
  conversation.turns.push({ role: "user", content: "Again" });
  const all = [
    { role: "system", content: "Be brief." },
    { role: "user", content: "Hi" },
    { role: "assistant", content: "Yes" },
    { role: "user", content: "Again" },
  ];
  assert.deepEqual(messages(conversation), all, "of several versions, the one that is shown is sent");
  assert.deepEqual(messages(conversation, 1), all.slice(0, 2), "a retry leaves out the answer and what follows");
});

test("an answer that is nothing but calls has no content, and its results follow", () => {
  const calls = [{ id: "call-1", type: "function", function: { name: "now", arguments: "{}" } }];
  const list = [
    { role: "user", content: "What time is it?" },
    { role: "assistant", content: null, tool_calls: calls },
    { role: "tool", tool_call_id: "call-1", content: "12:00" },
  ];
  assert.deepEqual(messages(fromMessages(list)), list);
});

test("a branch begins with the tokens before the picked one, then the chosen candidate", () => {
  const choice = { content: "", reasoning: "", calls: [], finish: null, trace: [{ id: 5 }, { id: 6 }, { id: 7 }] };
  assert.deepEqual(branchPrefix(choice, 0, 9), [9]);
  assert.deepEqual(branchPrefix(choice, 2, 9), [5, 6, 9]);
});

test("the tokens that a branch repeats keep the traces of the first answer", () => {
  const known = [
    { id: 5, source: "drawn" },
    { id: 6, source: "drawn" },
  ];
  const answer = newAnswer({}, "model", 0);
  const trace = [
    { id: 5, source: "prefix" },
    { id: 9, source: "prefix" },
    { id: 1, source: "drawn" },
  ];
  addChunk(answer, { choices: [{ index: 0, delta: {}, trace }] }, 0, known);
  assert.deepEqual(answer.choices[0].trace, [known[0], trace[1], trace[2]]);
});

test("the rate counts the tokens after the first, over the time since it", () => {
  const answer = { ...newAnswer({}, "model", 0), first: 1000, ended: 3000 };
  const usage = { prompt_tokens: 1, completion_tokens: 101, total_tokens: 102 };
  assert.equal(tokensPerSecond({ ...answer, usage }), 50);
  assert.equal(tokensPerSecond({ ...answer, usage: { ...usage, completion_tokens: 1 } }), null);
  assert.equal(tokensPerSecond({ ...answer, usage: null }), null);
});

test("the title is the first prompt, on one line and shortened", () => {
  const conversation = newConversation();
  assert.equal(titleOf(conversation), "Empty conversation");
  conversation.turns.push({ role: "user", content: "  Tell me\na joke. " });
  assert.equal(titleOf(conversation), "Tell me a joke.");
  assert.equal(titleOf(conversation, 8), "Tell me…");
});
