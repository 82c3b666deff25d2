/** The comparison in a dialog over the page. Closing it stops the requests. */

import { createComparison } from "./compare.js";
import { button, make } from "./dom.js";

/** @param {Parameters<typeof createComparison>[0]} options */
export function showComparison(options) {
  const comparison = createComparison(options);
  const close = button({ label: "Close the comparison", icon: "close", onclick: () => dialog.close() });
  const dialog = make("dialog", { class: "compare-dialog", "aria-label": "Comparison" }, close, comparison.element);
  dialog.addEventListener("close", () => {
    comparison.stop();
    dialog.remove();
  });
  document.body.append(dialog);
  dialog.showModal();
}
