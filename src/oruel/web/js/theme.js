/** Light or dark: as the system prefers, unless the person chose one. */

const STORED = "oruel-theme";
const root = document.documentElement;

export function applyTheme() {
  const chosen = localStorage.getItem(STORED);
  if (chosen) root.dataset.theme = chosen;
}

export function switchTheme() {
  const shown = root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  root.dataset.theme = shown === "dark" ? "light" : "dark";
  localStorage.setItem(STORED, root.dataset.theme);
}
