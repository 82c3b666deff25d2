/** Conversations as plain data: turns, answers and their versions. No DOM. */

/** @typedef {import("./api.js").Receipt} Receipt */
/** @typedef {Record<string, unknown>} Values parameters that are set, by name */
/** @typedef {{id: string, type: "function", function: {name: string, arguments: string}}} Call */

/**
 * @typedef {object} Choice
 * @property {string} content
 * @property {string} reasoning
 * @property {Call[]} calls
 * @property {any[]} trace one entry a token, as docs/trace.md says
 * @property {string | null} finish
 */

/** @typedef {{prompt_tokens: number, completion_tokens: number, total_tokens: number, cost?: unknown}} Usage */
/** @typedef {{message: string, param: string | null, status: number, requestId: string | null}} Problem */

/**
 * @typedef {object} Answer One reply to the turns before it: what was asked for, and what came back.
 * @property {Values} values
 * @property {string} model
 * @property {{choice: number, at: number, from: string, to: string} | null} branch
 * @property {Choice[]} choices
 * @property {number} shown the choice that the conversation goes on with
 * @property {Receipt | null} receipt
 * @property {string | null} tier
 * @property {Usage | null} usage
 * @property {number} started in milliseconds, as all times
 * @property {number | null} first when the first token arrived
 * @property {number | null} ended
 * @property {boolean} stopped
 * @property {Problem | null} problem
 */

/** @typedef {{role: "user", content: string}} UserTurn */
/** @typedef {{role: "tool", id: string, content: string}} ToolTurn */
/** @typedef {{role: "assistant", answers: Answer[], shown: number}} AnswerTurn retries and branches add answers */
/** @typedef {UserTurn | ToolTurn | AnswerTurn} Turn */
/** @typedef {{id: string, created: number, updated: number, system: string, turns: Turn[]}} Conversation */

/** @returns {Conversation} */
export function newConversation(system = "", now = Date.now()) {
  return { id: crypto.randomUUID(), created: now, updated: now, system, turns: [] };
}

/**
 * @param {Values} values
 * @param {string} model
 * @param {number} now
 * @returns {Answer}
 */
export function newAnswer(values, model, now) {
  return {
    values,
    model,
    branch: null,
    choices: [],
    shown: 0,
    receipt: null,
    tier: null,
    usage: null,
    started: now,
    first: null,
    ended: null,
    stopped: false,
    problem: null,
  };
}

/** @returns {Choice} */
function newChoice() {
  return { content: "", reasoning: "", calls: [], trace: [], finish: null };
}

/**
 * Adds a chunk of the stream to the answer.
 * @param {Answer} answer
 * @param {any} chunk
 * @param {number} now
 * @param {any[]} [known] traces of the answer that this one branches from. They say more of the tokens that it repeats.
 */
export function addChunk(answer, chunk, now, known = []) {
  answer.tier = chunk.tier ?? answer.tier;
  answer.usage = chunk.usage ?? answer.usage;
  for (const { index, delta, trace, finish_reason: finish } of chunk.choices) {
    while (answer.choices.length <= index) answer.choices.push(newChoice());
    const choice = answer.choices[index];
    const hasTokens = delta.content || delta.reasoning_content || delta.tool_calls || trace?.length;
    if (hasTokens) answer.first ??= now;
    choice.content += delta.content ?? "";
    choice.reasoning += delta.reasoning_content ?? "";
    choice.finish = finish ?? choice.finish;
    for (const token of trace ?? []) choice.trace.push(repeated(token, known[choice.trace.length]) ?? token);
    for (const piece of delta.tool_calls ?? []) addCall(choice.calls, piece);
  }
}

/**
 * @param {any} token
 * @param {any} earlier
 */
function repeated(token, earlier) {
  return token.source === "prefix" && earlier?.id === token.id ? earlier : null;
}

/**
 * @param {Call[]} calls
 * @param {{index: number, id?: string, function: {name?: string, arguments?: string}}} piece
 */
function addCall(calls, { index, id, function: called }) {
  calls[index] ??= { id: id ?? "", type: "function", function: { name: called.name ?? "", arguments: "" } };
  calls[index].function.arguments += called.arguments ?? "";
}

/**
 * @param {AnswerTurn} turn
 * @returns {Answer}
 */
export function shownAnswer(turn) {
  return turn.answers[turn.shown];
}

/**
 * @param {Answer} answer
 * @returns {Choice}
 */
export function shownChoice(answer) {
  return answer.choices[answer.shown] ?? newChoice();
}

/**
 * The messages of a request.
 * @param {Conversation} conversation
 * @param {number} [end] leaves out the turns from here on
 */
export function messages(conversation, end) {
  const system = conversation.system.trim() ? [{ role: "system", content: conversation.system }] : [];
  return [...system, ...conversation.turns.slice(0, end).filter(saysSomething).map(message)];
}

/** A request that failed leaves an answer without any content. @param {Turn} turn */
function saysSomething(turn) {
  if (turn.role !== "assistant") return true;
  const { content, calls } = shownChoice(shownAnswer(turn));
  return content !== "" || calls.length > 0;
}

/** @param {Turn} turn */
function message(turn) {
  if (turn.role === "user") return { role: "user", content: turn.content };
  if (turn.role === "tool") return { role: "tool", tool_call_id: turn.id, content: turn.content };
  const { content, calls } = shownChoice(shownAnswer(turn));
  return calls.length
    ? { role: "assistant", content: content || null, tool_calls: calls }
    : { role: "assistant", content };
}

/**
 * The conversation of these messages, for instance from a link. Fields that the page can't show are dropped.
 * @param {any[]} list
 */
export function fromMessages(list, now = Date.now()) {
  const conversation = newConversation("", now);
  for (const { role, content, tool_calls: calls, tool_call_id: id } of list) {
    const text = typeof content === "string" ? content : "";
    if (role === "system") conversation.system = text;
    else if (role === "user") conversation.turns.push({ role, content: text });
    else if (role === "tool") conversation.turns.push({ role, id: String(id), content: text });
    else if (role === "assistant")
      conversation.turns.push({ role, answers: [givenAnswer(text, calls, now)], shown: 0 });
  }
  return conversation;
}

/**
 * @param {string} content
 * @param {unknown} calls
 * @param {number} now
 */
function givenAnswer(content, calls, now) {
  const choice = { ...newChoice(), content, calls: Array.isArray(calls) ? calls.filter(isCall) : [] };
  return { ...newAnswer({}, "", now), choices: [choice], ended: now };
}

/** @param {any} call */
function isCall(call) {
  const { name, arguments: written } = call?.function ?? {};
  return typeof call?.id === "string" && typeof name === "string" && typeof written === "string";
}

/**
 * The token ids that an answer starts with if it goes on with another candidate at `at`.
 * @param {Choice} choice
 * @param {number} at
 * @param {number} id
 */
export function branchPrefix(choice, at, id) {
  return [...choice.trace.slice(0, at).map((token) => token.id), id];
}

/**
 * The rate of decoding: the tokens after the first, over the time since it. null if there is too little to measure.
 * @param {Answer} answer
 */
export function tokensPerSecond({ usage, first, ended }) {
  if (!usage || first === null || ended === null || usage.completion_tokens < 2 || ended <= first) return null;
  return ((usage.completion_tokens - 1) * 1000) / (ended - first);
}

/**
 * @param {Conversation} conversation
 * @param {number} [longest] in characters
 */
export function titleOf({ turns }, longest = 60) {
  const first = turns.find((turn) => turn.role === "user");
  const line = (first && "content" in first ? first.content : "").trim().replace(/\s+/g, " ");
  if (!line) return "Empty conversation";
  return line.length > longest ? `${line.slice(0, longest - 1)}…` : line;
}
