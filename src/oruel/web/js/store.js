/** Conversations in this browser's IndexedDB. Traces, which are large, are stored in pieces. */

import { titleOf } from "./conversation.js";

/** @typedef {import("./conversation.js").Conversation} Conversation */
/** @typedef {{id: string, title: string, updated: number, turns: number}} Entry */

/** Where a piece of a trace belongs: conversation, turn, version, choice, and the index of its first token. */
/** @typedef {[string, number, number, number, number]} PieceKey */

const NAME = "oruel",
  VERSION = 1,
  STORES = /** @type {const} */ (["entries", "conversations", "traces"]),
  /** Storing a value copies it at once, which takes long for a whole trace. */
  PIECE = 50;

export class Store {
  /** The traces that are stored already. @type {WeakMap<any[], string>} */
  #stored = new WeakMap();

  /** @param {IDBDatabase} database */
  constructor(database) {
    this.database = database;
  }

  /** Rejects where the browser has no storage, for instance in some private windows. @returns {Promise<Store>} */
  static async open() {
    const request = indexedDB.open(NAME, VERSION);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("entries", { keyPath: "id" });
      request.result.createObjectStore("conversations", { keyPath: "id" });
      request.result.createObjectStore("traces");
    };
    return new Store(await done(request));
  }

  /** Stores all of it or, if the page goes away before the end, nothing of it. @param {Conversation} conversation */
  async save(conversation) {
    const stores = this.#stores("readwrite");
    const traces = choicesOf(conversation)
      .map(({ place, choice: { trace } }) => ({ place, trace, state: `${place.join("/")}: ${trace.length}` }))
      .filter(({ trace, state }) => this.#stored.get(trace) !== state);
    const writes = async () => {
      stores.entries.put(entryOf(conversation));
      stores.conversations.put(withoutTraces(conversation));
      for (const { place, trace } of traces) await saveTrace(stores.traces, [conversation.id, ...place], trace);
    };
    await Promise.all([writes(), committed(stores.entries.transaction)]);
    for (const { trace, state } of traces) this.#stored.set(trace, state);
  }

  /** The newest first. @returns {Promise<Entry[]>} */
  async list() {
    const entries = await done(this.#stores("readonly").entries.getAll());
    return entries.sort((a, b) => b.updated - a.updated);
  }

  /**
   * @param {string} id
   * @returns {Promise<Conversation | undefined>}
   */
  async load(id) {
    const stores = this.#stores("readonly");
    /** @type {Conversation | undefined} */
    const conversation = await done(stores.conversations.get(id));
    if (!conversation) return undefined;
    const keys = /** @type {PieceKey[]} */ (await done(stores.traces.getAllKeys(within([id]))));
    const traces = new Map(choicesOf(conversation).map(({ place, choice }) => [place.join(), choice.trace]));
    for (const key of keys) {
      const piece = await done(stores.traces.get(key));
      traces.get(key.slice(1, -1).join())?.push(...piece);
    }
    return conversation;
  }

  /** @param {string} id */
  async remove(id) {
    const stores = this.#stores("readwrite");
    stores.entries.delete(id);
    stores.traces.delete(within([id]));
    await done(stores.conversations.delete(id));
  }

  /** @param {IDBTransactionMode} mode */
  #stores(mode) {
    const transaction = this.database.transaction([...STORES], mode);
    const [entries, conversations, traces] = STORES.map((name) => transaction.objectStore(name));
    return { entries, conversations, traces };
  }
}

/**
 * @param {IDBObjectStore} store
 * @param {[string, number, number, number]} place
 * @param {any[]} trace
 */
async function saveTrace(store, place, trace) {
  await done(store.delete(within(place)));
  for (let start = 0; start < trace.length; start += PIECE)
    await done(store.put(trace.slice(start, start + PIECE), [...place, start]));
}

/** All keys that begin with these parts: arrays come after numbers and strings. @param {(string | number)[]} parts */
function within(parts) {
  return IDBKeyRange.bound(parts, [...parts, []]);
}

/**
 * Every choice of every answer, with its place: turn, version and choice.
 * @param {Conversation} conversation
 */
export function choicesOf({ turns }) {
  return turns.flatMap((turn, at) =>
    turn.role !== "assistant"
      ? []
      : turn.answers.flatMap(({ choices }, version) =>
          choices.map((choice, index) => ({ place: /** @type {const} */ ([at, version, index]), choice })),
        ),
  );
}

/**
 * @param {Conversation} conversation
 * @returns {Conversation}
 */
export function withoutTraces(conversation) {
  const turns = conversation.turns.map((turn) => {
    if (turn.role !== "assistant") return turn;
    const answers = turn.answers.map((answer) => ({
      ...answer,
      choices: answer.choices.map((choice) => ({ ...choice, trace: [] })),
    }));
    return { ...turn, answers };
  });
  return { ...conversation, turns };
}

/**
 * @param {Conversation} conversation
 * @returns {Entry}
 */
export function entryOf(conversation) {
  const { id, updated, turns } = conversation;
  return { id, title: titleOf(conversation), updated, turns: turns.length };
}

/** A conversation as a file: everything that was asked for and came back. @param {Conversation} conversation */
export function exported(conversation) {
  return JSON.stringify({ format: "oruel-conversation", version: 1, ...conversation }, null, 1);
}

/**
 * @template Result
 * @param {IDBRequest<Result>} request
 * @returns {Promise<Result>}
 */
function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** @param {IDBTransaction} transaction */
function committed(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve(undefined);
    transaction.onabort = () => reject(transaction.error);
  });
}
