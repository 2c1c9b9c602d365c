"use strict";
// Elements, numbers and files. Text from data is only ever put in as text, never as markup.

const NONE = "–";
const SVG = "http://www.w3.org/2000/svg";

/** Give an element its attributes and children; an attribute that is a function is a listener. */
function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value !== null && value !== undefined && value !== false) {
      node.setAttribute(name, value === true ? "" : value);
    }
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}

/** Return a new element of HTML. */
function element(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** Return a new element of SVG. */
function shape(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

/** Return text with its control characters made visible: a page would swallow them. */
function visible(text) {
  return text.replace(/[\0-\x08\x0b-\x1f\x7f]/g, (sign) =>
    sign === "\x7f" ? "\u2421" : String.fromCharCode(0x2400 + sign.charCodeAt(0)));
}

/** Return an element with text from data, whose direction of writing stays its own. */
function dataText(name, text, attributes = {}) {
  return element(name, { dir: "auto", ...attributes }, visible(text));
}

/** Return a share in percent, or a difference of shares in points. */
function percent(share, digits = 1) {
  if (share === null || share === undefined) return NONE;
  return (100 * share).toFixed(digits).replace("-", "−");
}

/** Return "35.9 (29.9 to 42.4)" for an estimate. */
function withInterval({ mean, low = null, high = null }) {
  if (low === null || high === null) return percent(mean);
  return `${percent(mean)} (${percent(low)} to ${percent(high)})`;
}

/** Return a p-value to two significant digits. */
function pValue(p) {
  if (p === null || p === undefined) return NONE;
  return p < 0.0001 ? "< 0.0001" : String(Number(p.toPrecision(2)));
}

/** Return "1 question", "2 questions". */
function count(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

/** Offer a text as a file. */
function download(name, type, text) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

/** Return a table as CSV (RFC 4180). */
function csv({ columns, rows }) {
  const field = (value) => {
    const text = value === null || value === undefined ? "" : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [columns, ...rows].map((row) => row.map(field).join(",")).join("\r\n") + "\r\n";
}

/** Return a value as text. */
function shown(value) {
  if (value === null || value === undefined || value === "") return NONE;
  return typeof value === "number" && Math.abs(value) >= 1e4 ? value.toLocaleString("en")
    : String(value);
}

/** Return a table; what is a number, or percent, is at the right. */
function tableElement({ columns, rows }, caption) {
  const numeric = columns.map((_, place) =>
    rows.every((row) => row[place] === null || /^[-−–<]? ?[\d.,]*( ?%)?$/.test(row[place])));
  const cell = (name, value, place) => dataText(name, shown(value),
    { class: numeric[place] ? "number" : null, scope: name === "th" ? "col" : null });
  return element("div", { class: "wide", tabindex: 0, role: "region", "aria-label": caption },
    element("table", {},
      element("thead", {}, element("tr", {}, columns.map((c, i) => cell("th", c, i)))),
      element("tbody", {}, rows.map((row) =>
        element("tr", {}, row.map((value, i) => cell("td", value, i)))))));
}

/** Return what an element holds: JSON, compressed, as letters. */
async function unpack(id) {
  const letters = atob(document.getElementById(id).textContent);
  const bytes = Uint8Array.from(letters, (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).json();
}
