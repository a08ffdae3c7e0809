// A dial for the heading: dragged, clicked, or turned with the arrow keys.

import { h, svgElement } from "./dom.js";
import { wind } from "./words.js";

const SIZE = 132;

export function dial(onTurn) {
  const svg = svgElement("svg", { viewBox: `0 0 ${SIZE} ${SIZE}`, "aria-hidden": "true" });
  const middle = SIZE / 2;
  svg.append(svgElement("circle", { cx: middle, cy: middle, r: 50, class: "dial-face" }));
  for (let k = 0; k < 24; k += 1) {
    svg.append(svgElement("line", { x1: middle, y1: 18, x2: middle, y2: k % 6 ? 22 : 26, class: "dial-tick", transform: `rotate(${15 * k} ${middle} ${middle})` }));
  }
  for (const [name, x, y] of [["N", middle, 11], ["E", SIZE - 8, middle + 4], ["S", middle, SIZE - 3], ["W", 8, middle + 4]]) {
    const text = svgElement("text", { x, y, class: "dial-name", "text-anchor": "middle" });
    text.textContent = name;
    svg.append(text);
  }
  const needle = svgElement("path", { d: `M${middle} ${middle - 40} L${middle + 12} ${middle + 14} L${middle} ${middle + 7} L${middle - 12} ${middle + 14} Z`, class: "dial-needle" });
  svg.append(needle);
  const element = h("div", { class: "dial", id: "dial", tabindex: 0, role: "slider", "aria-label": "Heading of the photo", "aria-valuemin": 0, "aria-valuemax": 359 });
  element.append(svg);
  let value = 0;

  function turn(degrees, told = true) {
    value = ((Math.round(degrees) % 360) + 360) % 360;
    needle.setAttribute("transform", `rotate(${value} ${middle} ${middle})`);
    element.setAttribute("aria-valuenow", String(value));
    element.setAttribute("aria-valuetext", `${value} degrees, ${wind(value)}`);
    if (told) onTurn(value);
  }

  function point(event) {
    const box = element.getBoundingClientRect();
    turn(Math.atan2(event.clientX - box.left - box.width / 2, box.top + box.height / 2 - event.clientY) * 180 / Math.PI);
  }

  element.addEventListener("pointerdown", (event) => {
    element.setPointerCapture(event.pointerId);
    point(event);
  });
  element.addEventListener("pointermove", (event) => element.hasPointerCapture(event.pointerId) && point(event));
  element.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 5, ArrowUp: 5, ArrowLeft: -5, ArrowDown: -5, PageUp: 45, PageDown: -45 }[event.key];
    if (step === undefined && event.key !== "Home") return;
    event.preventDefault();
    turn(event.key === "Home" ? 0 : value + step);
  });
  turn(0, false);
  return { element, turn, get value() { return value; } };
}
