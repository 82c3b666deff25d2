/** Tabs, and the panes that they show. */

import { make } from "./dom.js";

/**
 * Tabs that the arrow keys move between.
 * @param {string} label
 * @param {string[]} names
 * @param {(name: string) => void} onSelect
 * @param {Record<string, HTMLElement>} [panes] what each tab shows
 */
export function tabList(label, names, onSelect, panes) {
  const tabs = names.map((name) => make("button", { type: "button", role: "tab", onclick: () => select(name) }, name));
  /** @param {string} name */
  const select = (name) => {
    for (const tab of tabs) {
      const isSelected = tab.textContent === name;
      tab.setAttribute("aria-selected", String(isSelected));
      tab.tabIndex = isSelected ? 0 : -1;
    }
    onSelect(name);
  };
  const element = make("div", { role: "tablist", "aria-label": label }, ...tabs);
  element.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const at = tabs.indexOf(/** @type {HTMLButtonElement} */ (event.target));
    if (!step || at < 0) return;
    const next = tabs[(at + step + tabs.length) % tabs.length];
    select(next.textContent ?? "");
    next.focus();
  });
  for (const [name, pane] of Object.entries(panes ?? {})) {
    const tab = tabs[names.indexOf(name)];
    [tab.id, pane.id] = [`tab-${name.toLowerCase()}`, `pane-${name.toLowerCase()}`];
    tab.setAttribute("aria-controls", pane.id);
    pane.setAttribute("role", "tabpanel");
    pane.setAttribute("aria-labelledby", tab.id);
    pane.hidden = name !== names[0];
  }
  for (const [index, tab] of tabs.entries()) {
    tab.setAttribute("aria-selected", String(index === 0));
    tab.tabIndex = index === 0 ? 0 : -1;
  }
  return element;
}
