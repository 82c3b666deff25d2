/** One control for each kind of parameter. A value of undefined means not set: the parameter isn't sent. */

import { button, icon, make } from "./dom.js";

/**
 * @typedef {object} Declaration A parameter, as GET /v1/parameters returns it.
 * @property {string} name
 * @property {string} group
 * @property {string} summary
 * @property {string} allowed
 * @property {any} schema
 * @property {any} default
 * @property {string | null} default_note
 * @property {string[]} details
 * @property {boolean} served
 * @property {number} [reach] where the slider ends, if that is before the maximum
 */

/**
 * @typedef {object} Control
 * @property {HTMLElement} [head] stands beside the parameter's name
 * @property {HTMLElement} [body] stands below it
 * @property {() => unknown} get
 * @property {(value: unknown) => void} set
 * @property {() => HTMLElement} target receives the focus, and the description of a problem
 * @property {() => string | null} problem why the value can't be sent
 */

/** @typedef {(declaration: Declaration, labelId: string, onChange: () => void) => Control} ControlMaker */

const LARGEST_SLIDER = 200_000;

/**
 * The control for a declaration; null if there is none for its kind.
 * @param {Declaration} declaration
 * @returns {ControlMaker | null}
 */
export function controlFor({ schema }) {
  if (schema.type === "boolean" || (schema.type === "string" && schema.enum)) return segments;
  if (schema.type === "integer" && schema.maximum - schema.minimum > LARGEST_SLIDER) return dice;
  if (schema.type === "number" || schema.type === "integer") return slider;
  if (schema.anyOf?.some((/** @type {any} */ option) => option.type === "array")) return strings;
  if (schema.type === "object" && !schema.properties) return json;
  return null;
}

/** @type {ControlMaker} */
function slider(declaration, labelId, onChange) {
  const { schema, default: standard, default_note: note } = declaration;
  const scale = scaleOf({ ...schema, maximum: Math.min(schema.maximum, declaration.reach ?? Infinity) });
  // Without a default, the end of the scale that changes nothing: no filter, or no limit.
  const resting = standard ?? (scale.logarithmic ? scale.maximum : schema.minimum);
  const field = numberField(note ?? String(standard), labelId);
  const range = make("input", { type: "range", min: 0, max: 1, step: "any", "aria-labelledby": labelId });
  const track = make(
    "div",
    { class: "slider" },
    range,
    make("span", { class: "tick", title: `default: ${note ?? standard}` }),
  );
  // The end of a logarithmic scale is a number like any other: typed, it is sent.
  const isDefault = (/** @type {unknown} */ value) =>
    value === standard || (standard === null && !scale.logarithmic && value === resting);

  const draw = () => {
    const typed = numberIn(field);
    const value = typed ?? resting;
    const at = scale.position(value);
    const rest = scale.position(resting);
    range.value = String(at);
    range.setAttribute("aria-valuetext", field.value || `${note ?? standard}, the default`);
    for (const [name, share] of Object.entries({ rest, low: Math.min(at, rest), high: Math.max(at, rest) })) {
      track.style.setProperty(`--${name}`, String(share));
    }
    track.toggleAttribute("data-set", typed !== undefined && !isDefault(typed));
    field.setAttribute("aria-invalid", String(!fits(value, schema)));
  };
  range.addEventListener("input", () => {
    const value = scale.value(Number(range.value));
    field.value = isDefault(value) || value === resting ? "" : String(value);
    draw();
    onChange();
  });
  range.addEventListener("keydown", (event) => {
    const steps = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[event.key];
    if (!steps) return;
    event.preventDefault();
    range.value = String(scale.position(scale.moved(numberIn(field) ?? resting, steps)));
    range.dispatchEvent(new Event("input"));
  });
  field.addEventListener("input", () => {
    draw();
    onChange();
  });
  draw();
  return {
    head: field,
    body: track,
    get: () => {
      const value = numberIn(field);
      return value === undefined || isDefault(value) ? undefined : value;
    },
    set: (value) => {
      field.value = value === undefined || isDefault(value) ? "" : String(value);
      draw();
    },
    target: () => field,
    problem: () => (field.value.trim() && numberIn(field) === undefined ? `This is not ${declaration.allowed}.` : null),
  };
}

/**
 * Positions from 0 to 1 on a slider. The scale is logarithmic if the range covers orders of magnitude.
 * @param {{type: string, minimum: number, maximum: number}} schema
 */
function scaleOf({ type, minimum, maximum }) {
  const logarithmic = minimum >= 1 && maximum / minimum > 1000;
  const step = type === "integer" ? 1 : maximum - minimum > 2.5 ? 0.05 : 0.01;
  const within = (/** @type {number} */ value) => Math.min(maximum, Math.max(minimum, value));
  const rounded = (/** @type {number} */ value) => within(Number((Math.round(value / step) * step).toFixed(2)));
  const ratio = Math.log(maximum / minimum);
  return {
    logarithmic,
    maximum,
    /** @param {number} value */
    position: (value) =>
      logarithmic ? Math.log(within(value) / minimum) / ratio : (within(value) - minimum) / (maximum - minimum),
    /** @param {number} position */
    value: (position) =>
      logarithmic
        ? twoDigits(within(minimum * Math.exp(position * ratio)), maximum)
        : rounded(minimum + position * (maximum - minimum)),
    /**
     * @param {number} value
     * @param {number} steps
     */
    moved: (value, steps) =>
      logarithmic ? within(Math.round(value * 1.12 ** steps) + Math.sign(steps)) : rounded(value + steps * step),
  };
}

/**
 * A logarithmic slider can't resolve more than about two digits, and round numbers read better.
 * @param {number} value
 * @param {number} maximum
 */
function twoDigits(value, maximum) {
  if (value >= maximum * 0.995) return maximum;
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(value)) - 1);
  return Math.round(value / unit) * unit;
}

/**
 * @param {string} placeholder
 * @param {string} labelId
 */
function numberField(placeholder, labelId) {
  const field = make("input", {
    type: "text",
    class: "number",
    inputmode: "decimal",
    autocomplete: "off",
    spellcheck: "false",
    "aria-labelledby": labelId,
  });
  field.placeholder = placeholder;
  return field;
}

/**
 * The number in the field; undefined if it is empty or isn't one.
 * @param {HTMLInputElement} field
 */
function numberIn(field) {
  const text = field.value.trim().replace(",", ".");
  const value = Number(text);
  return text === "" || !Number.isFinite(value) ? undefined : value;
}

/**
 * @param {number} value
 * @param {{type: string, minimum: number, maximum: number}} schema
 */
function fits(value, { type, minimum, maximum }) {
  return value >= minimum && value <= maximum && (type !== "integer" || Number.isInteger(value));
}

/** @type {ControlMaker} An integer from a range too wide for a slider, and a button that draws one. */
function dice(declaration, labelId, onChange) {
  const field = numberField("random", labelId);
  field.inputMode = "numeric";
  field.addEventListener("input", onChange);
  const roll = button({
    label: `Draw a ${declaration.name}`,
    icon: "dice",
    onclick: () => {
      field.value = String(randomSeed());
      onChange();
    },
  });
  return {
    head: make("span", { class: "with-button" }, field, roll),
    get: () => numberIn(field),
    set: (value) => {
      field.value = value === undefined ? "" : String(value);
    },
    target: () => field,
    problem: () => {
      if (!field.value.trim() || Number.isSafeInteger(numberIn(field))) return null;
      return `Enter an integer. This page can send those up to ${Number.MAX_SAFE_INTEGER}.`;
    },
  };
}

export function randomSeed() {
  return crypto.getRandomValues(new Uint32Array(1))[0];
}

/** @type {ControlMaker} The values of an enum side by side. */
function segments({ name, schema, default: standard }, labelId, onChange) {
  /** @type {[string, unknown][]} */
  const options = schema.enum
    ? schema.enum.map((/** @type {string} */ value) => [value, value])
    : [
        ["off", false],
        ["on", true],
      ];
  const inputs = options.map(([, value]) =>
    make("input", { type: "radio", name, onchange: onChange, checked: value === standard }),
  );
  const labels = options.map(([text, value], index) =>
    make("label", { title: value === standard ? "the default" : null }, inputs[index], make("span", {}, text)),
  );
  const choose = (/** @type {unknown} */ value) => {
    for (const [index, [, own]] of options.entries()) inputs[index].checked = own === value;
  };
  return {
    head: make("div", { class: "segments", role: "radiogroup", "aria-labelledby": labelId }, ...labels),
    get: () => {
      const value = options[inputs.findIndex((input) => input.checked)]?.[1];
      return value === standard ? undefined : value;
    },
    set: (value) => choose(value === undefined ? standard : value),
    target: () => inputs.find((input) => input.checked) ?? inputs[0],
    problem: () => null,
  };
}

/** @type {ControlMaker} A list of strings. Escapes such as \n are accepted, since a field has one line. */
function strings({ name, schema }, labelId, onChange) {
  const most = schema.anyOf.find((/** @type {any} */ option) => option.type === "array").maxItems;
  const list = make("ul", { class: "strings" });
  const add = button({
    label: `Add a string to ${name}`,
    icon: "add",
    text: "Add",
    onclick: () => {
      append("").focus();
    },
  });
  const fields = () => [...list.querySelectorAll("input")];
  const limit = () => {
    add.disabled = fields().length >= most;
  };
  const append = (/** @type {string} */ text) => {
    const field = make("input", { type: "text", "aria-labelledby": labelId, spellcheck: "false", oninput: onChange });
    field.value = escaped(text);
    field.placeholder = "\\n\\n";
    const item = make(
      "li",
      {},
      field,
      button({
        label: "Remove this string",
        icon: "close",
        onclick: () => {
          item.remove();
          limit();
          add.focus();
          onChange();
        },
      }),
    );
    list.append(item);
    limit();
    return field;
  };
  return {
    head: add,
    body: list,
    get: () => {
      const values = fields()
        .map((field) => unescaped(field.value))
        .filter((text) => text !== "");
      return values.length ? values : undefined;
    },
    set: (value) => {
      list.replaceChildren();
      for (const text of Array.isArray(value) ? value : value === undefined ? [] : [value]) append(String(text));
      limit();
    },
    target: () => fields()[0] ?? add,
    problem: () => null,
  };
}

/** @param {string} text */
function escaped(text) {
  return JSON.stringify(text).slice(1, -1).replace(/\\"/g, '"');
}

/** @param {string} text */
function unescaped(text) {
  return text.replace(/\\(u[0-9a-fA-F]{4}|[nrtbf\\])/g, (escape) => JSON.parse(`"${escape}"`));
}

/** @type {ControlMaker} An object as JSON. */
function json({ name }, labelId, onChange) {
  const field = make("textarea", {
    class: "json",
    rows: 1,
    spellcheck: "false",
    "aria-labelledby": labelId,
    oninput: onChange,
  });
  field.placeholder = name === "logit_bias" ? '{"342": -5}' : "{}";
  const parse = () => {
    const text = field.value.trim();
    if (!text) return undefined;
    const value = JSON.parse(text);
    if (typeof value !== "object" || Array.isArray(value) || value === null) throw new SyntaxError("not an object");
    return value;
  };
  const problem = () => {
    try {
      parse();
      return null;
    } catch {
      return "This is not a JSON object.";
    }
  };
  return {
    body: field,
    get: () => (problem() ? undefined : parse()),
    set: (value) => {
      field.value = value === undefined ? "" : JSON.stringify(value);
    },
    target: () => field,
    problem,
  };
}

/** @param {() => void} onclick */
export function resetButton(onclick) {
  const reset = button({ label: "Back to the default", icon: "reset", onclick });
  reset.classList.add("reset");
  return reset;
}

/**
 * The button that opens a parameter's description.
 * @param {string} name
 * @param {HTMLElement} description
 */
export function helpButton(name, description) {
  const help = make(
    "button",
    {
      type: "button",
      class: "quiet help",
      "aria-expanded": "false",
      "aria-controls": description.id,
      "aria-label": `About ${name}`,
      title: `About ${name}`,
    },
    icon("help"),
  );
  help.addEventListener("click", () => {
    description.hidden = !description.hidden;
    help.setAttribute("aria-expanded", String(!description.hidden));
  });
  return help;
}
