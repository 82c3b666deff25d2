import assert from "node:assert/strict";
import { test } from "node:test";

import { emptyFormat, formatDraft, formatField, formatProblems } from "../../../src/oruel/web/js/format_draft.js";
import { readParameters, readSchema, summary, written } from "../../../src/oruel/web/js/json_schema.js";
import { SCHEMAS, TOOLS } from "../../../src/oruel/web/js/structured_examples.js";
import { noTools, toolDraft, toolFields, toolProblems, toolsDraft, withoutTool } from "../../../src/oruel/web/js/tools_draft.js";

const [weather, add, search] = TOOLS.map(toolDraft);

/** @param {Partial<import("../../../src/oruel/web/js/format_draft.js").FormatDraft>} changes */
const schemaDraft = (changes = {}) => ({ ...emptyFormat(), type: /** @type {const} */ ("json_schema"), ...changes });

test("only what isn't the default is sent", () => {
  assert.equal(formatField(emptyFormat()), undefined);
  assert.deepEqual(toolFields(noTools()), {});
  assert.deepEqual(toolFields({ ...noTools(), choice: "required", parallel: false }), {});
  assert.deepEqual(Object.keys(toolFields({ ...noTools(), tools: [weather] })), ["tools"]);
});

test("each kind of format is the field that the API documents", () => {
  assert.deepEqual(formatField({ ...emptyFormat(), type: "json_object" }), { type: "json_object" });
  assert.deepEqual(formatField(schemaDraft({ name: "sky", schema: '{"type": "object"}' })), {
    type: "json_schema",
    json_schema: { name: "sky", schema: { type: "object" }, strict: true },
  });
});

test("the tools, the choice and parallel calls are the fields that the API documents", () => {
  assert.deepEqual(toolFields({ tools: [weather, add], choice: 1, parallel: false }), {
    tools: [
      { type: "function", function: TOOLS[0] },
      { type: "function", function: TOOLS[1] },
    ],
    tool_choice: { type: "function", function: { name: "add" } },
    parallel_tool_calls: false,
  });
  assert.equal(toolFields({ tools: [weather], choice: "required", parallel: true }).tool_choice, "required");
});

test("what a request says comes back unchanged", () => {
  const format = {
    type: "json_schema",
    json_schema: { name: "sky", description: "The sky", schema: { enum: ["blue"] }, strict: false },
  };
  assert.deepEqual(formatField(formatDraft(format)), format);
  const fields = {
    tools: [
      { type: "function", function: { ...TOOLS[2], strict: true } },
      { type: "function", function: { name: "now" } },
    ],
    tool_choice: { type: "function", function: { name: "now" } },
    parallel_tool_calls: false,
  };
  assert.deepEqual(toolFields(toolsDraft(fields)), fields);
});

test("values that aren't the API's become the default, for instance from a link", () => {
  for (const value of [undefined, null, 7, "json", [], {}, { type: "xml" }]) {
    assert.deepEqual(formatDraft(value), emptyFormat());
    assert.deepEqual(toolsDraft({ tools: value, tool_choice: value }), noTools());
  }
  assert.deepEqual(formatProblems(formatDraft({ type: "json_schema", json_schema: { schema: 7 } })).length, 1);
  assert.deepEqual(toolsDraft({ tools: [null, { function: null }, { function: { name: 7 } }] }).tools.length, 1);
});

test("a mistake in a schema is told in words, with its line", () => {
  assert.equal(readSchema(" ").message, "Paste a JSON Schema, or choose an example.");
  assert.equal(readSchema('{\n "type": "object",\n}').message, "Line 3: Remove the comma before the }");
  assert.equal(readSchema("[]").message, 'A schema is a JSON object, such as {"type": "object"}.');
  assert.match(readParameters('{"type": "array"}').message ?? "", /must be "object"/);
  assert.deepEqual(readParameters('{"properties": {}}').schema, { properties: {} });
});

test("problems name the field of the request, and nothing is sent until they are solved", () => {
  const format = schemaDraft({ name: "a b", schema: "{" });
  assert.deepEqual(formatProblems(format).map(({ param }) => param), [
    "response_format.json_schema.schema",
    "response_format.json_schema.name",
  ]);
  assert.equal(formatField(format), undefined);
  const tools = { ...noTools(), tools: [weather, { ...add, parameters: "[" }, weather, { ...search, name: "" }] };
  assert.deepEqual(toolProblems(tools), [
    { param: "tools[1].function.parameters", message: "Line 1: The [ of line 1 isn't closed: a ] is missing." },
    { param: "tools[2].function.name", message: "Another function is already called get_weather." },
    { param: "tools[3].function.name", message: "A name is missing." },
  ]);
  assert.deepEqual(toolFields(tools), {});
});

test("the choice follows its function when another one is removed", () => {
  const draft = { tools: [weather, add, search], choice: 2, parallel: true };
  assert.deepEqual(withoutTool(draft, 0), { tools: [add, search], choice: 1, parallel: true });
  assert.equal(withoutTool(draft, 2).choice, "auto");
  assert.equal(withoutTool({ ...draft, choice: "required" }, 0).choice, "required");
  assert.equal(withoutTool({ tools: [add], choice: "required", parallel: true }, 0).choice, "auto");
});

test("every example can be sent as it is", () => {
  for (const { name, schema } of SCHEMAS) assert.deepEqual(formatProblems(schemaDraft({ name, schema: written(schema) })), []);
  assert.deepEqual(toolProblems({ ...noTools(), tools: [weather, add, search] }), []);
});

test("a summary says what a schema describes", () => {
  assert.equal(summary({ properties: { a: {}, b: {} } }), "An object with a, b");
  assert.equal(summary({ properties: { a: {}, b: {}, c: {}, d: {}, e: {} } }), "An object with a, b, c, d and 1 more");
  assert.equal(summary({ enum: [1, 2] }), "One of 2 values");
  assert.equal(summary({ type: "number" }), "Valid JSON, type number");
});
