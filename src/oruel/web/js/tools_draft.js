/** The tools of a request as the page edits them: texts that may be incomplete, and the fields that they stand for. */

import { isObject } from "./json.js";
import { problemOfName, readParameters, written } from "./json_schema.js";

/** @typedef {import("./format_draft.js").Problem} Problem */
/** @typedef {{name: string, description: string, parameters: string, strict: boolean}} ToolDraft */
/** @typedef {"auto" | "none" | "required" | number} Choice  A number is the place of the function to call. */
/** @typedef {{tools: ToolDraft[], choice: Choice, parallel: boolean}} ToolsDraft */

export const MAX_TOOLS = 128;

/** @returns {ToolsDraft} */
export function noTools() {
  return { tools: [], choice: "auto", parallel: true };
}

/**
 * @param {ToolsDraft} draft
 * @returns {Problem[]}
 */
export function toolProblems({ tools }) {
  return tools.flatMap(({ name, parameters }, place) => {
    const path = `tools[${place}].function`;
    const isTaken = tools.slice(0, place).some((other) => other.name === name);
    const nameProblem = problemOfName(name) ?? (isTaken ? `Another function is already called ${name}.` : null);
    const message = parameters.trim() ? readParameters(parameters).message : null;
    return [
      ...(nameProblem ? [{ param: `${path}.name`, message: nameProblem }] : []),
      ...(message ? [{ param: `${path}.parameters`, message }] : []),
    ];
  });
}

/**
 * The fields of the request that aren't their default: `tools`, `tool_choice` and `parallel_tool_calls`. None for a
 * draft with problems.
 * @param {ToolsDraft} draft
 * @returns {Record<string, unknown>}
 */
export function toolFields(draft) {
  const { tools, choice, parallel } = draft;
  if (tools.length === 0 || toolProblems(draft).length > 0) return {};
  return {
    tools: tools.map(toolField),
    ...(choice === "auto" ? {} : { tool_choice: choiceField(choice, tools) }),
    ...(parallel ? {} : { parallel_tool_calls: false }),
  };
}

/** @param {ToolDraft} tool */
function toolField({ name, description, parameters, strict }) {
  const described = description.trim() ? { description } : {};
  const declared = parameters.trim() ? { parameters: readParameters(parameters).schema } : {};
  return { type: "function", function: { name, ...described, ...declared, ...(strict ? { strict } : {}) } };
}

/** @param {Choice} choice @param {ToolDraft[]} tools */
function choiceField(choice, tools) {
  return typeof choice === "number" ? { type: "function", function: { name: tools[choice].name } } : choice;
}

/**
 * The draft of a request's fields. What isn't valid in them becomes the default.
 * @param {Record<string, unknown>} fields
 * @returns {ToolsDraft}
 */
export function toolsDraft({ tools, tool_choice: choice, parallel_tool_calls: parallel }) {
  const functions = (Array.isArray(tools) ? tools.slice(0, MAX_TOOLS) : []).map(functionOf);
  const drafts = functions.filter((declaration) => declaration !== null).map(toolDraft);
  return { tools: drafts, choice: choiceDraft(choice, drafts), parallel: parallel !== false };
}

/** @param {unknown} tool */
function functionOf(tool) {
  const declaration = isObject(tool) ? tool.function : null;
  return isObject(declaration) ? declaration : null;
}

/**
 * @param {Record<string, unknown>} declaration
 * @returns {ToolDraft}
 */
export function toolDraft({ name, description, parameters, strict }) {
  return {
    name: typeof name === "string" ? name : "",
    description: typeof description === "string" ? description : "",
    parameters: parameters === undefined ? "" : written(parameters),
    strict: strict === true,
  };
}

/** @param {unknown} choice @param {ToolDraft[]} tools @returns {Choice} */
function choiceDraft(choice, tools) {
  if (choice === "none" || choice === "required") return choice;
  const named = functionOf(choice)?.name;
  const place = tools.findIndex(({ name }) => name === named);
  return place < 0 ? "auto" : place;
}

/**
 * @param {ToolsDraft} draft
 * @param {number} place
 * @returns {ToolsDraft}
 */
export function withoutTool({ tools, choice, parallel }, place) {
  const left = tools.filter((_, other) => other !== place);
  return { tools: left, choice: choiceWithout(choice, place, left.length), parallel };
}

/** @param {Choice} choice @param {number} place @param {number} left @returns {Choice} */
function choiceWithout(choice, place, left) {
  if (choice === place || left === 0) return "auto";
  return typeof choice === "number" && choice > place ? choice - 1 : choice;
}
