/** Elements of the page, made without HTML strings. */

/** @typedef {string | number | boolean | null | undefined | ((event: any) => void)} Property */

/**
 * Makes an element. A property that is a function is an event listener (`onclick`); true sets an empty attribute; false,
 * null and undefined set none.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, Property>} [properties]
 * @param {...(Node | string | null | undefined)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") element.addEventListener(name.replace(/^on/, ""), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/**
 * The element of index.html with this id.
 * @template {HTMLElement} Kind
 * @param {string} id
 * @param {new () => Kind} kind
 * @returns {Kind}
 */
export function byId(id, kind) {
  const element = document.getElementById(id);
  if (!(element instanceof kind)) throw new Error(`index.html has no ${kind.name} with the id ${id}`);
  return element;
}

/**
 * A button with an icon, and with text unless `label` is for assistive technology only.
 * @param {{label: string, icon?: IconName, text?: string, class?: string, onclick: (event: MouseEvent) => void}} parts
 */
export function button(parts) {
  const { label, text, onclick } = parts;
  return make(
    "button",
    { type: "button", class: parts.class ?? "quiet", onclick, title: label, "aria-label": text ? null : label },
    parts.icon ? icon(parts.icon) : null,
    text ? make("span", {}, text) : null,
  );
}

const ICONS = {
  send: "M8 13V3M3.5 7.5 8 3l4.5 4.5",
  stop: "M4.5 4.5h7v7h-7z",
  retry: "M13 8a5 5 0 1 1-1.6-3.7M13 2.5v3h-3",
  edit: "M10.5 3.5l2 2L6 12l-2.6.6L4 10z",
  copy: "M5.5 5.5v-2h7v7h-2M3.5 5.5h7v7h-7z",
  done: "M3 8.5l3.2 3.2L13 5",
  dice: "M3 3h10v10H3zM5.6 5.6h.01M10.4 5.6h.01M8 8h.01M5.6 10.4h.01M10.4 10.4h.01",
  reset: "M3 8a5 5 0 1 0 1.6-3.7M3 2.5v3h3",
  theme: "M8 2.5a5.5 5.5 0 1 0 0 11zM8 2.5a5.5 5.5 0 0 1 0 11",
  list: "M3 4.5h10M3 8h10M3 11.5h6",
  link: "M6.8 9.2a2.4 2.4 0 0 0 3.4 0l2-2a2.4 2.4 0 0 0-3.4-3.4l-.9.9M9.2 6.8a2.4 2.4 0 0 0-3.4 0l-2 2a2.4 2.4 0 0 0 3.4 3.4l.9-.9",
  remove: "M3.5 4.5h9M6.5 4.5v-1h3v1M4.5 4.5l.6 8h5.8l.6-8",
  save: "M8 3v7M4.8 7 8 10.2 11.2 7M3.5 13h9",
  add: "M8 3.5v9M3.5 8h9",
  close: "M4 4l8 8M12 4l-8 8",
  sliders: "M2.5 5h6M11.5 5h2M2.5 11h2M7.5 11h6M10 3.5v3M6 9.5v3",
  help: "M6 6.2a2 2 0 1 1 2.7 1.9c-.5.2-.7.5-.7 1v.3M8 11.6h.01",
  earlier: "M9.5 4 6 8l3.5 4",
  later: "M6.5 4 10 8l-3.5 4",
  compare: "M8 2.5v11M2.5 5H6v6H2.5zM10 5h3.5v6H10z",
  tokens: "M2.5 5h4v6h-4zM9.5 5h4v6h-4z",
};

/** @typedef {keyof typeof ICONS} IconName */

/** @param {IconName} name */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("data-icon", name);
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}
