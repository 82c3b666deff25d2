/** Small settings in the browser's storage. Browsers that block it only forget them. */

/**
 * @param {"localStorage" | "sessionStorage"} kind
 * @param {string} name
 * @returns {string | null}
 */
export function recall(kind, name) {
  try {
    return window[kind].getItem(name);
  } catch {
    return null;
  }
}

/**
 * @param {"localStorage" | "sessionStorage"} kind
 * @param {string} name
 * @param {string | null} value null: forgets it
 */
export function remember(kind, name, value) {
  try {
    if (value === null) window[kind].removeItem(name);
    else window[kind].setItem(name, value);
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
  }
}
