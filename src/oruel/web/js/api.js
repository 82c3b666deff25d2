/** Requests to the server that this page came from. Everything that fails becomes an ApiError. */

/**
 * @typedef {object} Receipt What the response's headers say.
 * @property {string | null} requestId
 * @property {string | null} deployment
 * @property {string | null} differs keywords of a schema that are not enforced
 */

/** An error in the words of the server, or of the browser if the server could not be reached. */
export class ApiError extends Error {
  /**
   * @param {string} message
   * @param {{param?: string | null, code?: string | null, status?: number, requestId?: string | null}} [facts]
   */
  constructor(message, { param = null, code = null, status = 0, requestId = null } = {}) {
    super(message);
    this.name = "ApiError";
    this.param = param;
    this.code = code;
    this.status = status;
    this.requestId = requestId;
  }
}

/**
 * The data of each server-sent event.
 * @param {AsyncIterable<string> | Iterable<string>} chunks pieces of the stream, divided anywhere
 * @returns {AsyncGenerator<string>}
 */
export async function* events(chunks) {
  /** @type {string[]} */
  let data = [];
  for await (const line of lines(chunks)) {
    if (line === "") {
      if (data.length) yield data.join("\n");
      data = [];
    } else if (line.startsWith("data:")) {
      data.push(line.slice(line[5] === " " ? 6 : 5));
    }
  }
}

/**
 * Lines that end in \n, \r\n or \r. An unfinished last line is left out, as the standard says.
 * @param {AsyncIterable<string> | Iterable<string>} chunks
 */
async function* lines(chunks) {
  let rest = "";
  for await (const chunk of chunks) {
    rest += chunk;
    // A \r at the end may be the first half of a \r\n.
    const complete = rest.endsWith("\r") ? rest.slice(0, -1) : rest;
    const parts = complete.split(/\r\n|\n|\r/);
    rest = parts.pop() + rest.slice(complete.length);
    yield* parts;
  }
  if (rest.endsWith("\r")) yield rest.slice(0, -1);
}

/**
 * Sends a chat completion with `stream: true`.
 * @param {Record<string, unknown>} body
 * @param {{signal?: AbortSignal, key?: string | null, onStart?: (receipt: Receipt) => void, onChunk: (chunk: any) => void}} options
 * @returns {Promise<Receipt>} once the stream is complete
 */
export async function complete(body, { signal, key, onStart, onChunk }) {
  const response = await request("/v1/chat/completions", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    signal,
    key,
  });
  const receipt = receiptOf(response);
  onStart?.(receipt);
  for await (const data of events(texts(response, receipt))) {
    if (data === "[DONE]") return receipt;
    const chunk = parsed(data, receipt);
    if (chunk.error) throw errorOf(chunk.error, 200, receipt.requestId);
    onChunk(chunk);
  }
  throw disconnected(receipt);
}

/**
 * @param {string} data
 * @param {Receipt} receipt
 */
function parsed(data, { requestId }) {
  try {
    return JSON.parse(data);
  } catch {
    throw new ApiError("The server sent an event that is not JSON.", { requestId });
  }
}

/**
 * @param {string} path
 * @param {{key?: string | null}} [options]
 */
export async function getJson(path, { key } = {}) {
  return (await request(path, { key })).json();
}

/**
 * @param {string} path
 * @param {RequestInit & {key?: string | null}} options
 */
async function request(path, { key, headers, ...options }) {
  const sent = new Headers(headers);
  if (key) sent.set("authorization", `Bearer ${key}`);
  let response;
  try {
    response = await fetch(path, { ...options, headers: sent });
  } catch (error) {
    throw wasAborted(error) ? error : new ApiError("The server can't be reached. Is it still running?");
  }
  if (response.ok) return response;
  throw await refusal(response);
}

/** @param {Response} response */
async function refusal(response) {
  const { requestId } = receiptOf(response);
  try {
    return errorOf((await response.json()).error, response.status, requestId);
  } catch {
    return new ApiError(`The server answered with status ${response.status}.`, { status: response.status, requestId });
  }
}

/**
 * @param {{message: string, param?: string | null, code?: string | null}} error
 * @param {number} status
 * @param {string | null} requestId
 */
function errorOf({ message, param, code }, status, requestId) {
  return new ApiError(message, { param, code, status, requestId });
}

/** @param {Receipt} receipt */
function disconnected({ requestId }) {
  return new ApiError("The connection was lost before the answer was complete.", { requestId });
}

/**
 * @param {Response} response
 * @returns {Receipt}
 */
function receiptOf({ headers }) {
  return {
    requestId: headers.get("x-request-id"),
    deployment: headers.get("x-oruel-deployment"),
    differs: headers.get("x-oruel-differs"),
  };
}

/**
 * @param {Response} response
 * @param {Receipt} receipt
 */
async function* texts(response, receipt) {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = (await reader?.read().catch((error) => {
      throw wasAborted(error) ? error : disconnected(receipt);
    })) ?? { done: true, value: "" };
    if (done) return;
    yield value;
  }
}

/** @param {unknown} error */
export function wasAborted(error) {
  return error instanceof DOMException && error.name === "AbortError";
}
