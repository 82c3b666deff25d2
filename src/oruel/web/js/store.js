/** Conversations in this browser's IndexedDB. Their traces, which are large, are stored apart from what a list needs. */

import { titleOf } from "./conversation.js";

/** @typedef {import("./conversation.js").Conversation} Conversation */
/** @typedef {{id: string, title: string, updated: number, turns: number}} Entry */

const NAME = "oruel",
  VERSION = 1;

export class Store {
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
    };
    return new Store(await done(request));
  }

  /** @param {Conversation} conversation */
  async save(conversation) {
    const stores = this.#stores("readwrite");
    stores.entries.put(entryOf(conversation));
    await done(stores.conversations.put(conversation));
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
    return done(this.#stores("readonly").conversations.get(id));
  }

  /** @param {string} id */
  async remove(id) {
    const stores = this.#stores("readwrite");
    stores.entries.delete(id);
    await done(stores.conversations.delete(id));
  }

  /** @param {IDBTransactionMode} mode */
  #stores(mode) {
    const transaction = this.database.transaction(["entries", "conversations"], mode);
    return { entries: transaction.objectStore("entries"), conversations: transaction.objectStore("conversations") };
  }
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
