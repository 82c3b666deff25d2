/** Light or dark: as the system prefers, unless the person chose one. */

import { recall, remember } from "./memory.js";

const STORED = "oruel-theme";
const root = document.documentElement;

export function applyTheme() {
  const chosen = recall("localStorage", STORED);
  if (chosen) root.dataset.theme = chosen;
}

export function switchTheme() {
  const shown = root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  root.dataset.theme = shown === "dark" ? "light" : "dark";
  remember("localStorage", STORED, root.dataset.theme);
}
