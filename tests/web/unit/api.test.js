/** What the page reads from the server, and what it says when something fails. */

import assert from "node:assert/strict";
import test from "node:test";

import { ApiError, complete, events } from "../../../src/oruel/web/js/api.js";

/** @param {Iterable<string>} chunks */
async function read(chunks) {
  const found = [];
  for await (const data of events(chunks)) found.push(data);
  return found;
}

test("events are found however the stream is divided", async () => {
  const stream = 'data: {"a": 1}\r\n\r\n: a comment\ndata: first\ndata: second\n\nevent: x\rdata:[DONE]\r\r';
  const expected = ['{"a": 1}', "first\nsecond", "[DONE]"];
  for (let size = 1; size <= stream.length; size += 1) {
    const chunks = stream.match(new RegExp(`[^]{1,${size}}`, "g")) ?? [];
    assert.deepEqual(await read(chunks), expected, `in chunks of ${size}`);
  }
});

test("an event that the connection cut off is left out", async () => {
  assert.deepEqual(await read(["data: whole\n\ndata: ha"]), ["whole"]);
});

/**
 * Runs `complete` against one response.
 * @param {import("node:test").TestContext} context
 * @param {string} body
 * @param {ResponseInit} [init]
 */
async function answerOf(context, body, init) {
  context.mock.method(globalThis, "fetch", async () => new Response(body, init));
  /** @type {any[]} */
  const chunks = [];
  await complete({}, { onChunk: (chunk) => chunks.push(chunk) });
  return chunks;
}

test("chunks arrive in order until [DONE]", async (context) => {
  const chunks = await answerOf(context, 'data: {"n": 1}\n\ndata: {"n": 2}\n\ndata: [DONE]\n\n');
  assert.deepEqual(chunks, [{ n: 1 }, { n: 2 }]);
});

test("a refusal has the server's words, the parameter and the request id", async (context) => {
  const error = {
    message: "temperature must be at most 2.",
    type: "invalid_request_error",
    param: "temperature",
    code: null,
  };
  const init = { status: 400, headers: { "x-request-id": "req-1" } };
  await assert.rejects(answerOf(context, JSON.stringify({ error }), init), (caught) => {
    assert.ok(caught instanceof ApiError);
    assert.deepEqual(
      [caught.message, caught.param, caught.status, caught.requestId],
      ["temperature must be at most 2.", "temperature", 400, "req-1"],
    );
    return true;
  });
});

test("an error inside a stream is an error too", async (context) => {
  const stream = 'data: {"choices": []}\n\ndata: {"error": {"message": "The engine failed.", "param": null}}\n\n';
  await assert.rejects(answerOf(context, stream), { name: "ApiError", message: "The engine failed." });
});

test("a stream without [DONE] was cut off", async (context) => {
  await assert.rejects(answerOf(context, 'data: {"choices": []}\n\n'), /connection was lost/);
});

test("a proxy's page of HTML becomes a sentence", async (context) => {
  await assert.rejects(answerOf(context, "<html>Bad gateway</html>", { status: 502 }), {
    message: "The server answered with status 502.",
  });
});

test("a server that is gone becomes a sentence", async (context) => {
  context.mock.method(globalThis, "fetch", async () => {
    throw new TypeError("fetch failed");
  });
  await assert.rejects(complete({}, { onChunk: () => {} }), { name: "ApiError", message: /can't be reached/ });
});
