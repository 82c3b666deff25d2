/** What the list of conversations and an exported file contain. */

import assert from "node:assert/strict";
import test from "node:test";

import { fromMessages, messages } from "../../../src/oruel/web/js/conversation.js";
import { entryOf, exported } from "../../../src/oruel/web/js/store.js";

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
