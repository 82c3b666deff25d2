/** A token's text for the eye and for a screen reader, and numbers as people read them. */

/** @typedef {{id: number, token: string, bytes: number[]}} Token */

/** @type {Record<string, string>} */
const GLYPHS = { " ": "·", "\n": "↵", "\r": "␍", "\t": "⇥" };
/** @type {Record<string, string>} */
const NAMES = { " ": "space", "\n": "line break", "\r": "carriage return", "\t": "tab" };
/** Characters that have no shape of their own, or turn the direction of what follows. The joiner of emoji stays. */
const INVISIBLE = /(?!\u200d)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/**
 * `kind` is `space` for a token of white space only, `bytes` for one that isn't UTF-8, `control` for one that stands
 * for no text and has a name instead.
 * @param {Token} token
 * @returns {{text: string, kind: "text" | "space" | "bytes" | "control"}}
 */
export function visible({ id, token, bytes }) {
  if (bytes.length === 0) return { text: token || `#${id}`, kind: "control" };
  if (!isComplete(token, bytes)) return { text: hexadecimal(bytes), kind: "bytes" };
  if (isSpace(token)) return { text: Array.from(token, shape).join(""), kind: "space" };
  return { text: shapes(token), kind: "text" };
}

/**
 * @param {Token} token
 * @returns {string}
 */
export function spoken({ id, token, bytes }) {
  if (bytes.length === 0) return token || `number ${id}`;
  if (!isComplete(token, bytes)) return `bytes ${hexadecimal(bytes)}`;
  if (!isSpace(token)) return token.trim();
  return Array.from(token, (character) => NAMES[character] ?? codePoint(character)).join(" ");
}

/**
 * Two significant digits, all of those before the point: 51%, 3.3%, 0.042%.
 * @param {number} probability
 * @returns {string}
 */
export function percent(probability) {
  const value = 100 * probability;
  if (value === 0) return "0%";
  if (value < 0.001) return "<0.001%";
  if (value > 99 && value < 100) return `${Math.floor(value * 100) / 100}%`;
  return `${Number(value.toPrecision(2))}%`;
}

/**
 * @param {number} value
 * @param {number} [digits]  after the point
 * @returns {string}
 */
export function decimal(value, digits = 2) {
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/**
 * @param {number} value
 * @param {string} noun  in the singular
 * @returns {string}
 */
export function quantity(value, noun) {
  return `${value.toLocaleString("en")} ${noun}${value === 1 ? "" : "s"}`;
}

/** @param {string} text */
function shapes(text) {
  return text.replace(INVISIBLE, shape);
}

/** @param {string} character */
function shape(character) {
  return GLYPHS[character] ?? codePoint(character);
}

/** @param {string} token */
function isSpace(token) {
  return /^\s+$/u.test(token);
}

/** @param {string} character */
function codePoint(character) {
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`;
}

/**
 * The server writes U+FFFD for what isn't UTF-8, but a model may also write U+FFFD itself.
 * @param {string} token
 * @param {number[]} bytes
 */
function isComplete(token, bytes) {
  if (!token.includes("\ufffd")) return true;
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.from(bytes));
    return true;
  } catch {
    return false;
  }
}

/** @param {number[]} bytes */
function hexadecimal(bytes) {
  return bytes.map((byte) => byte.toString(16).toUpperCase().padStart(2, "0")).join(" ");
}
