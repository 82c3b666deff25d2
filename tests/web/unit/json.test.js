import assert from "node:assert/strict";
import { test } from "node:test";

import { layOut, parseJson, piecesOf } from "../../../src/oruel/web/js/json.js";

/** @type {Array<[string, string, number, number]>} */
const MISTAKES = [
  ["", "There is nothing here yet.", 1, 1],
  ['{\n  "a": 1,\n}', "Remove the comma before the }", 3, 1],
  ["[1, ]", "Remove the comma before the ]", 1, 5],
  ['{"a" 1}', 'A colon is missing after "a".', 1, 6],
  ['{"a": 1\n "b": 2}', 'A comma is missing before "b".', 2, 2],
  ["{a: 1}", "Put the name a in double quotes.", 1, 2],
  ["{'a': 1}", "Names need straight double quotes.", 1, 2],
  ["[“a”]", "Texts need straight double quotes.", 1, 2],
  ['{"a": True}', "Write true instead of True.", 1, 7],
  ['{"a": None}', "Write null instead of None.", 1, 7],
  ['{"a": word}', "word isn't a value. Texts need double quotes.", 1, 7],
  ['{"a": 01}', "01 isn't a JSON number.", 1, 7],
  ['{"a": }', "A value is missing before the }", 1, 7],
  ['{"a": [1, 2}', "The [ of line 1 needs a ], but here is a }", 1, 12],
  ["1]", "The JSON ends before this. Remove the rest.", 1, 2],
  ["]", "This ] closes nothing.", 1, 1],
  ['{"a": {"b": 1}', "The { of line 1 isn't closed: a } is missing.", 1, 15],
  ['{"a": "b\n}', "The text isn't closed: a double quote is missing.", 1, 7],
  ['{"a": "\\x"}', "JSON has no escape \\x. Write \\\\ for a backslash.", 1, 7],
  ['{"a": "\t"}', "Write \\t instead of a tab.", 1, 7],
  ['{ // a\n"a": 1}', "JSON has no comments. Remove this.", 1, 3],
  ['{"a":\u00a01}', "JSON doesn't allow this kind of space. Type it again.", 1, 6],
];

for (const [text, message, line, column] of MISTAKES) {
  test(`${JSON.stringify(text)}: ${message}`, () => {
    assert.deepEqual(parseJson(text), { value: undefined, mistake: { message, line, column } });
  });
}

test("valid JSON has a value and no mistake", () => {
  for (const text of ["{}", "[]", ' {"a": [1, -2.5e3, "\\u00e9\\n", {"b": null}]} ', '"a"', "0", '"\\\\"']) {
    assert.deepEqual(parseJson(text), { value: JSON.parse(text), mistake: null });
  }
});

test("whatever is cut out of a document, the mistake has words and a place inside the text", () => {
  const text = '{"a": [1, "two\\n", true], "b": {"c": null, "d": -1.5e3}}';
  for (let start = 0; start < text.length; start += 1) {
    for (let end = start + 1; end <= text.length; end += 1) {
      const changed = text.slice(0, start) + text.slice(end);
      const { mistake } = parseJson(changed);
      if (!mistake) continue;
      assert.match(mistake.message, /^\S.{8,}\S$/);
      assert.ok(mistake.column >= 1 && mistake.column <= changed.length + 1);
    }
  }
});

test("a layout changes white space only, and is laid out as JSON.stringify does it", () => {
  const value = { a: [1, { b: "x, [y]: {z}" }, []], c: {}, "d e": null };
  const laidOut = layOut(JSON.stringify(value))
    .map(({ text }) => text)
    .join("");
  assert.equal(laidOut, JSON.stringify(value, null, 2));
});

test("incomplete JSON is laid out as far as it goes, at every length", () => {
  const text = '{"city":"Oslo, \\"NO\\"","days":[1,2],"ok":true}';
  for (let length = 0; length <= text.length; length += 1) {
    const laidOut = layOut(text.slice(0, length)).filter(({ kind }) => kind !== "space");
    assert.equal(laidOut.map((piece) => piece.text).join(""), text.slice(0, length));
  }
});

test("names of members are told from other strings", () => {
  const kinds = piecesOf('{"a":["b",{"c":"d"}]}').map(({ kind, text }) => [kind, text]);
  assert.deepEqual(
    kinds.filter(([kind]) => kind === "key" || kind === "string"),
    [
      ["key", '"a"'],
      ["string", '"b"'],
      ["key", '"c"'],
      ["string", '"d"'],
    ],
  );
});
