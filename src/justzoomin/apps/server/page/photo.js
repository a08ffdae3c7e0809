// The photo beside the map, and larger.

import { $, h, icon } from "./dom.js";

/** Show the photo: the file itself, or the server's small copy where the browser cannot show the format, or has no file.
 *  `another` is called when a person wants to give another photo. */
export function showPhoto(session, another) {
  const name = session.name || "photo";
  const image = h("img", { alt: `Your photo ${name}`, id: "photo-image" });
  const open = h("button", { type: "button", class: "enlarge", "aria-label": "Show the photo larger", onclick: () => enlarge(image) }, image);
  const missing = h("p", { class: "missing" }, icon("photo", "big"), h("span", {}, session.file
    ? "This browser cannot show this kind of photo. The server may still read it."
    : "The photo is not kept with the link. Drop it again to see it here."));
  const own = session.preview && !session.unseen;
  const copy = session.state && `v1/sessions/${session.state.id}/photo.jpg`;
  const sources = [own && session.preview, copy].filter(Boolean);
  const next = () => {
    const source = sources.shift();
    if (source) image.src = source;
    else open.replaceWith(missing);
  };
  image.addEventListener("error", () => {
    if (image.src === session.preview) session.unseen = true;
    next();
  });
  $("photo").replaceChildren(open, h("figcaption", {}, h("span", { class: "name" }, name),
    h("button", { type: "button", class: "small", id: "other", onclick: another }, icon("photo"), "Another photo")));
  next();
}

function enlarge(image) {
  const dialog = $("large");
  const close = h("button", { type: "button", class: "round raised", "aria-label": "Close", onclick: () => dialog.close() }, icon("close"));
  dialog.replaceChildren(h("img", { src: image.src, alt: image.alt }), close);
  dialog.showModal();
}
