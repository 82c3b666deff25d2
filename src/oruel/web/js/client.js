/** The server as this page uses it: asks for a key when the server wants one, and does without traces where there are none. */

import { ApiError, complete, getJson } from "./api.js";
import { recall, remember } from "./memory.js";

const STORED_KEY = "oruel-key";
/** The API's limit on top × n × max_tokens, and on top. */
const MOST_CANDIDATES = 262_144,
  MOST_TOP = 20;

/** @typedef {(reason: string) => Promise<{key: string, keep: boolean} | null>} AskKey null: the person doesn't give one */

export class Client {
  /** @param {AskKey} askKey */
  constructor(askKey) {
    this.askKey = askKey;
    this.key = recall("sessionStorage", STORED_KEY);
  }

  /** @param {string} path */
  get(path) {
    return this.#withKey((key) => getJson(path, { key }));
  }

  /**
   * Sends a chat request. If the server refuses `trace` itself, sends it again without.
   * @param {Record<string, any>} body
   * @param {Omit<Parameters<typeof complete>[1], "key"> & {onTraceRefused: (reason: string) => void}} options
   */
  async complete(body, { onTraceRefused, ...options }) {
    try {
      return await this.#withKey((key) => complete(body, { ...options, key }));
    } catch (error) {
      const isRefusal = error instanceof ApiError && error.status === 400 && error.param === "trace";
      if (!isRefusal || !body.trace || body.trace.prefix) throw error;
      onTraceRefused(error.message);
      const { trace: _, ...without } = body;
      return this.#withKey((key) => complete(without, { ...options, key }));
    }
  }

  /**
   * @template Result
   * @param {(key: string | null) => Promise<Result>} call
   * @returns {Promise<Result>}
   */
  async #withKey(call) {
    for (;;) {
      try {
        return await call(this.key);
      } catch (error) {
        if (!(error instanceof ApiError) || error.status !== 401) throw error;
        const given = await this.askKey(this.key ? error.message : "This server requires an API key.");
        if (!given) throw error;
        this.key = given.key;
        remember("sessionStorage", STORED_KEY, given.keep ? given.key : null);
      }
    }
  }
}

/**
 * How many candidates a trace may show. 0 if the answer is too long for any.
 * @param {Record<string, any>} values
 * @param {number} context the model's, in tokens
 */
export function traceTop({ n, max_tokens: most, max_completion_tokens: alsoMost }, context) {
  return Math.min(MOST_TOP, Math.floor(MOST_CANDIDATES / ((n ?? 1) * (most ?? alsoMost ?? context))));
}
