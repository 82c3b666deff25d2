/** What the list of conversations and an exported file contain. */

import assert from "node:assert/strict";
import test from "node:test";

import { fromMessages, messages } from "../../../src/oruel/web/js/conversation.js";
import { choicesOf, entryOf, exported, withoutTraces } from "../../../src/oruel/web/js/store.js";

const CONVERSATION = fromMessages(
  [
    { role: "user", content: "Hi" },
    { role: "assistant", content: "Hello" },
  ],
  5,
);

test("a list entry has the title, not the turns and their traces", () => {
  assert.deepEqual(entryOf(CONVERSATION), { id: CONVERSATION.id, title: "Hi", updated: 5, turns: 2 });
});

test("an exported file has the whole conversation, and says what it is", () => {
  const file = JSON.parse(exported(CONVERSATION));
  assert.equal(file.format, "oruel-conversation");
  assert.deepEqual(messages(file), messages(CONVERSATION));
  assert.deepEqual(file.turns, CONVERSATION.turns);
});

test("a conversation is stored without its traces, which keep their places", () => {
  const conversation = fromMessages([
    { role: "user", content: "Hi" },
    { role: "assistant", content: "Hello" },
  ]);
  const [{ place, choice }] = choicesOf(conversation);
  choice.trace = [{ id: 1 }];
  assert.deepEqual(place, [1, 0, 0], "the second turn, its first version, its first choice");
  assert.deepEqual(choicesOf(withoutTraces(conversation))[0].choice.trace, []);
  assert.deepEqual(messages(withoutTraces(conversation)), messages(conversation));
  assert.deepEqual(choice.trace, [{ id: 1 }], "what the page shows is untouched");
});
