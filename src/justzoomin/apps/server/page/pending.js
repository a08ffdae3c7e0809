// What is shown while a person waits, and when something went wrong: the same for a photo, many photos and a drive.

import { h, icon, show } from "./dom.js";

/** Show progress in a box: a share from 0 to 1, or null if it is not known; `cancel` is called by a button with that id. */
export function waiting(box, share, words, id, cancel) {
  if (box.dataset.told === words && !box.hidden) return;
  box.dataset.told = words;
  box.replaceChildren(h("progress", share === null ? { "aria-label": "Progress" } : { max: 1, value: share, "aria-label": "Progress" }),
    h("span", {}, words), h("button", { type: "button", class: "small quiet", id, onclick: cancel }, "Cancel"));
  show(box, true);
}

/** Show a problem in a box: what is wrong, what to do, and buttons. */
export function trouble(box, problem, title, ...buttons) {
  box.replaceChildren(h(box.dataset.heading ?? "h2", {}, icon("warning"), title), h("p", {}, sentence(problem.what)),
    h("p", { class: "muted" }, problem.remedy ?? ""), h("div", { class: "row" }, buttons));
  show(box, true);
}

/** Return words as a sentence: errors of the service begin small and have no full stop. */
export function sentence(words) {
  return words ? `${words[0].toUpperCase()}${words.slice(1)}${/[.!?]$/.test(words) ? "" : "."}` : "";
}
