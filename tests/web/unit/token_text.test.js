/** Every token can be seen and heard, whatever it consists of. */

import assert from "node:assert/strict";
import test from "node:test";

import { percent, quantity, spoken, visible } from "../../../src/oruel/web/js/token_text.js";

/**
 * @param {string} token
 * @param {number[]} [bytes]
 */
function tokenOf(token, bytes = [...new TextEncoder().encode(token)]) {
  return { id: 7, token, bytes };
}

test("a word keeps its space, and is spoken without it", () => {
  assert.deepEqual(visible(tokenOf(" sea")), { text: " sea", kind: "text" });
  assert.equal(spoken(tokenOf(" sea")), "sea");
});

test("white space has glyphs and names", () => {
  assert.deepEqual(visible(tokenOf("  \n")), { text: "··↵", kind: "space" });
  assert.equal(spoken(tokenOf(" \n\t")), "space line break tab");
  assert.equal(visible(tokenOf(".\n")).text, ".↵");
  assert.equal(visible(tokenOf("\u00a0")).text, "U+00A0");
});

test("part of a character is shown as its bytes", () => {
  const half = tokenOf("\ufffd", [0xe2, 0x96]);
  assert.deepEqual(visible(half), { text: "E2 96", kind: "bytes" });
  assert.equal(spoken(half), "bytes E2 96");
});

test("a replacement character that the model wrote is text", () => {
  assert.equal(visible(tokenOf("\ufffd")).kind, "text");
});

test("a control token has its name, or else its number", () => {
  assert.deepEqual(visible(tokenOf("<|im_end|>", [])), { text: "<|im_end|>", kind: "control" });
  assert.deepEqual(visible(tokenOf("", [])), { text: "#7", kind: "control" });
  assert.equal(spoken(tokenOf("", [])), "number 7");
});

test("characters without a shape are named, and can't turn the direction of the text", () => {
  assert.equal(visible(tokenOf("a\u202eb\u0000")).text, "aU+202EbU+0000");
});

test("a joined emoji stays one", () => {
  assert.equal(visible(tokenOf("👩‍💻")).text, "👩‍💻");
});

test("percentages have two significant digits, and never claim certainty", () => {
  const pairs = /** @type {[number, string][]} */ ([
    [1, "100%"],
    [0.99999, "99.99%"],
    [0.513, "51%"],
    [0.0333, "3.3%"],
    [0.00042, "0.042%"],
    [1e-9, "<0.001%"],
    [0, "0%"],
  ]);
  for (const [probability, text] of pairs) assert.equal(percent(probability), text);
});

test("quantities have thousands, and a plural unless there is one", () => {
  assert.equal(quantity(3072, "token"), "3,072 tokens");
  assert.equal(quantity(1, "token"), "1 token");
});
