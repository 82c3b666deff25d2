/** JSON mode and tools: the panel that declares them, and the cards that show the calls of an answer. */

import { createFormatPanel } from "./format_panel.js";
import { formatDraft, formatField, formatProblems } from "./format_draft.js";
import { make } from "./dom.js";
import { createToolsPanel } from "./tools_panel.js";
import { toolFields, toolProblems, toolsDraft } from "./tools_draft.js";

export { createCallCard } from "./call_card.js";

/** @typedef {Record<string, unknown>} Values  response_format, tools, tool_choice and parallel_tool_calls */

/**
 * Has the interface of `createParameters`.
 * @param {{onChange: (values: Values) => void}} options
 */
export function createStructuredPanel({ onChange }) {
  const changed = () => {
    clearProblems();
    onChange(values());
  };
  const format = createFormatPanel({ onChange: changed });
  const tools = createToolsPanel({ onChange: changed });

  /** The fields that aren't their default. What has a problem is left out. @returns {Values} */
  function values() {
    const field = formatField(format.draft());
    return { ...(field ? { response_format: field } : {}), ...toolFields(tools.draft()) };
  }

  /** Replaces all values; what isn't named returns to its default. @param {Values} next */
  function set(next) {
    format.set(formatDraft(next.response_format));
    tools.set(toolsDraft(next));
    clearProblems();
  }

  function clearProblems() {
    format.show("", null);
    tools.show("", null);
  }

  /**
   * Shows the server's words beside the field that `param` names. False if there is none.
   * @param {string | null} param
   * @param {string} message
   */
  function showProblem(param, message) {
    const [name] = (param ?? "").split(/[.[]/);
    const panel = { response_format: format, tools, tool_choice: tools, parallel_tool_calls: tools }[name];
    panel?.show(param ?? "", message);
    panel?.element.closest("details")?.setAttribute("open", "");
    panel?.element.querySelector(".row-problem:not([hidden])")?.scrollIntoView({ block: "nearest" });
    return panel !== undefined;
  }

  return {
    element: make("div", { class: "structured-panel" }, format.element, tools.element),
    values,
    set,
    clearProblems,
    showProblem,
    /** The first value that can't be sent, shown beside its field. */
    findProblem: () => {
      const [problem] = [...formatProblems(format.draft()), ...toolProblems(tools.draft())];
      if (!problem) return null;
      showProblem(problem.param, problem.message);
      return problem;
    },
  };
}
