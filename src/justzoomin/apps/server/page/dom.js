// Small helpers to make and find elements. Text is always set as text, never as HTML.

const SVG = "http://www.w3.org/2000/svg";

export const $ = (id) => document.getElementById(id);

/** Return an element: `on...` are listeners, `data`, `aria` and `class` are attributes, true and false set or leave out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else element.setAttribute(name, String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Return an icon of the sprite; it is decoration, so screen readers skip it. */
export function icon(name, kind = "icon") {
  const svg = svgElement("svg", { class: kind, "aria-hidden": "true" });
  svg.append(svgElement("use", { href: `page/icons.svg#${name}` }));
  return svg;
}

export function svgElement(tag, attributes = {}) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  return element;
}

export function show(element, shown) {
  element.hidden = !shown;
}

let timer = 0;

/** Say something in a note at the foot of the page, for a few seconds. */
export function toast(text) {
  const note = $("toast");
  note.textContent = text;
  show(note, true);
  clearTimeout(timer);
  timer = setTimeout(() => show(note, false), 5000);
}

/** Tell a screen reader. */
export function announce(text) {
  $("live").textContent = text;
}

export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
