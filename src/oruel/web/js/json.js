/**
 * JSON as people type it and as models stream it: mistakes explained in words, and a layout that also works for text
 * that isn't complete yet.
 */

/** @typedef {"key" | "string" | "number" | "literal" | "mark" | "space" | "other"} PieceKind */
/** @typedef {{kind: PieceKind, text: string, start: number}} Piece */
/** @typedef {{message: string, line: number, column: number}} Mistake */
/** @typedef {{value: unknown, mistake: null} | {value: undefined, mistake: Mistake}} Parsed */

// A string ends at a line break, so that one missing quote doesn't swallow the rest of the text.
const PIECE = /[ \t\n\r]+|"(?:[^"\\\n]|\\[^\n])*(?:"|\\?)|[{}[\],:]|[^\s"{}[\],:]+|\s/gu;
const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;
const LITERALS = ["true", "false", "null"];
const CLOSERS = /** @type {Record<string, string>} */ ({ "{": "}", "[": "]" });

/**
 * The value of `text`, or the first mistake in it.
 * @param {string} text
 * @returns {Parsed}
 */
export function parseJson(text) {
  try {
    return { value: JSON.parse(text), mistake: null };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return { value: undefined, mistake: firstMistake(text) };
  }
}

/**
 * Whether `value` is a JSON object.
 * @param {unknown} value
 * @returns {value is Record<string, unknown>}
 */
export function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * `text` in pieces with one member or element to a line. Incomplete text is laid out as far as it goes.
 * @param {string} text
 * @returns {Array<{kind: PieceKind, text: string}>}
 */
export function layOut(text) {
  const pieces = piecesOf(text).filter((piece) => piece.kind !== "space");
  /** @type {Array<{kind: PieceKind, text: string}>} */
  const laidOut = [];
  let depth = 0;
  pieces.forEach((piece, index) => {
    const previous = pieces[index - 1]?.text ?? "";
    if (isCloser(piece)) depth = Math.max(0, depth - 1);
    const space = spaceBetween(previous, piece.text, depth);
    if (space) laidOut.push({ kind: "space", text: space });
    laidOut.push({ kind: piece.kind, text: piece.text });
    if (isOpener(piece)) depth += 1;
  });
  return laidOut;
}

/** @param {string} previous @param {string} text @param {number} depth */
function spaceBetween(previous, text, depth) {
  if (previous === ":") return " ";
  const afterOpener = previous in CLOSERS;
  const beforeCloser = text === "}" || text === "]";
  if (afterOpener && beforeCloser) return "";
  return afterOpener || beforeCloser || previous === "," ? `\n${"  ".repeat(depth)}` : "";
}

/** @param {Piece} piece */
const isOpener = (piece) => piece.kind === "mark" && piece.text in CLOSERS;
/** @param {Piece} piece */
const isCloser = (piece) => piece.kind === "mark" && (piece.text === "}" || piece.text === "]");

/**
 * The tokens of JSON, with the strings that name members told from the others.
 * @param {string} text
 * @returns {Piece[]}
 */
export function piecesOf(text) {
  /** @type {Piece[]} */
  const pieces = [];
  /** @type {string[]} */
  const open = [];
  let last = "";
  for (const { 0: piece, index } of text.matchAll(PIECE)) {
    const isKey = open.at(-1) === "{" && (last === "{" || last === ",");
    const kind = pieceKind(piece, isKey);
    pieces.push({ kind, text: piece, start: index });
    if (kind === "space") continue;
    if (piece in CLOSERS) open.push(piece);
    if (piece === "}" || piece === "]") open.pop();
    last = piece;
  }
  return pieces;
}

/** @param {string} text @param {boolean} isKey @returns {PieceKind} */
function pieceKind(text, isKey) {
  if (/^[ \t\n\r]/.test(text)) return "space";
  if (text.startsWith('"')) return isKey ? "key" : "string";
  if (/^[{}[\],:]$/.test(text)) return "mark";
  if (LITERALS.includes(text)) return "literal";
  return NUMBER.test(text) ? "number" : "other";
}

/**
 * What the grammar allows next: a name, its colon, a value, or what follows a value. `comma` is the comma that came
 * just before, since a comma before a closing mark is the most common mistake.
 * @typedef {{expected: "value" | "key" | "colon" | "after value", open: Piece[], comma: boolean, last: Piece | null}} State
 */

/**
 * The first mistake in `text`, which isn't JSON.
 * @param {string} text
 * @returns {Mistake}
 */
function firstMistake(text) {
  /** @type {State} */
  const state = { expected: "value", open: [], comma: false, last: null };
  for (const piece of piecesOf(text)) {
    if (piece.kind === "space") continue;
    const message = mistakeIn(piece, state, text);
    if (message) return at(text, piece.start, message);
    advance(piece, state);
  }
  return at(text, text.length, unfinished(state, text));
}

/** @param {string} text @param {number} start @param {string} message @returns {Mistake} */
function at(text, start, message) {
  const before = text.slice(0, start);
  const line = lineOf(text, start);
  return { message, line, column: start - before.lastIndexOf("\n") };
}

/** @param {string} text @param {number} start */
const lineOf = (text, start) => text.slice(0, start).split("\n").length;

/** @param {State} state @param {string} text */
function unfinished(state, text) {
  const opener = state.open.at(-1);
  if (!opener) return state.last ? "This isn't JSON." : "There is nothing here yet.";
  return `The ${opener.text} of line ${lineOf(text, opener.start)} isn't closed: a ${CLOSERS[opener.text]} is missing.`;
}

/**
 * What is wrong with `piece` in this place, or null.
 * @param {Piece} piece @param {State} state @param {string} text
 * @returns {string | null}
 */
function mistakeIn(piece, state, text) {
  if (state.last && !state.open.length) return "The JSON ends before this. Remove the rest.";
  if (isCloser(piece)) return mistakeInCloser(piece, state, text);
  if (state.expected === "colon") return piece.text === ":" ? null : `A colon is missing after ${state.last?.text}.`;
  if (state.expected === "after value") return mistakeAfterValue(piece, state);
  if (state.expected === "key" && piece.kind !== "key") return mistakeInsteadOfKey(piece);
  if (piece.kind === "key" || piece.kind === "string") return mistakeInString(piece.text);
  if (piece.kind === "mark") return isOpener(piece) ? null : `A value is missing before the ${piece.text}`;
  return piece.kind === "other" ? mistakeInWord(piece.text) : null;
}

/** @param {Piece} piece @param {State} state @param {string} text @returns {string | null} */
function mistakeInCloser(piece, state, text) {
  const opener = state.open.at(-1);
  if (!opener) return `This ${piece.text} closes nothing.`;
  if (state.comma) return `Remove the comma before the ${piece.text}`;
  if (CLOSERS[opener.text] !== piece.text) {
    const where = `${opener.text} of line ${lineOf(text, opener.start)}`;
    return `The ${where} needs a ${CLOSERS[opener.text]}, but here is a ${piece.text}`;
  }
  const complete = state.expected === "after value" || state.last === opener;
  return complete ? null : `A value is missing before the ${piece.text}`;
}

/** @param {Piece} piece @param {State} state @returns {string | null} */
function mistakeAfterValue(piece, state) {
  if (piece.text === ",") return null;
  if (piece.text === ":") return `A colon can't follow ${shown(state.last?.text ?? "")} here.`;
  return isComment(piece.text) ? "JSON has no comments. Remove this." : `A comma is missing before ${shown(piece.text)}.`;
}

/** @param {Piece} piece */
function mistakeInsteadOfKey(piece) {
  if (piece.kind === "mark") return `A name in double quotes is missing before the ${piece.text}`;
  if (isComment(piece.text)) return "JSON has no comments. Remove this.";
  return /^['‘’“”]/u.test(piece.text)
    ? "Names need straight double quotes."
    : `Put the name ${shown(piece.text)} in double quotes.`;
}

/** @param {string} text @returns {string | null} */
function mistakeInString(text) {
  if (text.length < 2 || !/[^\\](\\\\)*"$/.test(text)) return "The text isn't closed: a double quote is missing.";
  if (text.includes("\t")) return "Write \\t instead of a tab.";
  const escape = /\\(?:\\|["/bfnrt]|u[\dA-Fa-f]{4})|(\\.)/gu;
  for (const match of text.matchAll(escape)) {
    if (match[1]) return `JSON has no escape ${match[1]}. Write \\\\ for a backslash.`;
  }
  return null;
}

/** @param {string} text */
function mistakeInWord(text) {
  if (/^\s/.test(text)) return "JSON doesn't allow this kind of space. Type it again.";
  const lower = text.toLowerCase();
  if (LITERALS.includes(lower)) return `Write ${lower} instead of ${text}.`;
  if (text === "None" || text === "undefined") return `Write null instead of ${text}.`;
  if (isComment(text)) return "JSON has no comments. Remove this.";
  if (/^['‘’“”]/u.test(text)) return "Texts need straight double quotes.";
  if (/^[-+.\d]/.test(text)) return `${shown(text)} isn't a JSON number.`;
  return `${shown(text)} isn't a value. Texts need double quotes.`;
}

/** @param {string} text */
const isComment = (text) => text.startsWith("//") || text.startsWith("/*") || text.startsWith("#");

/** @param {string} text */
const shown = (text) => (text.length > 24 ? `${text.slice(0, 23)}…` : text);

/** @param {Piece} piece @param {State} state */
function advance(piece, state) {
  if (isOpener(piece)) state.open.push(piece);
  if (isCloser(piece)) state.open.pop();
  state.expected = expectedAfter(piece, state);
  state.comma = piece.text === ",";
  state.last = piece;
}

/** @param {Piece} piece @param {State} state @returns {State["expected"]} */
function expectedAfter(piece, state) {
  if (piece.kind === "key") return "colon";
  if (piece.text === "{") return "key";
  if (piece.text === ",") return state.open.at(-1)?.text === "{" ? "key" : "value";
  return piece.text === "[" || piece.text === ":" ? "value" : "after value";
}
