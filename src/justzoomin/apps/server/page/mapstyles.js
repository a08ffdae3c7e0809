// How things look on the map. Aerial pictures are dark and busy, so every line has a light edge.

const { Style, Stroke, Fill, Icon, Circle, Text } = window.ol.style;
const ACCENT = "#2f5bea";
const WHITE = "#ffffff";
const FAR = 1;                               // metres per pixel above which outlines would hide what they surround
const FONT = "600 12px system-ui, sans-serif";

const edged = (color, width, fill) => [
  new Style({ stroke: new Stroke({ color: "rgba(255,255,255,.9)", width: width + 2 }), fill: fill && new Fill({ color: fill }) }),
  new Style({ stroke: new Stroke({ color, width }) }),
];
const dot = (color, radius, text) => new Style({
  image: new Circle({ radius, fill: new Fill({ color }), stroke: new Stroke({ color: WHITE, width: 2 }) }),
  text: text && new Text({ text, font: FONT, fill: new Fill({ color: WHITE }) }),
});
const pin = new Style({ image: new Icon({ src: "page/pin.svg", anchor: [0.5, 0.97], width: 36, height: 46 }), zIndex: 5 });

const photo = (feature) => {
  const chosen = feature.get("chosen");
  if (feature.getGeometry().getType() !== "Point") {               // what nine tenths of the probability are in
    return new Style({ fill: new Fill({ color: chosen ? "rgba(47,91,234,.22)" : "rgba(47,91,234,.05)" }), zIndex: chosen ? 1 : 0,
                       stroke: chosen ? new Stroke({ color: WHITE, width: 2 }) : undefined });
  }
  const color = feature.get("on_map") === false ? "#8b5a00" : ACCENT;
  const style = dot(color, chosen ? 12 : 7, chosen ? String(feature.get("number") ?? "") : undefined);
  style.setZIndex(chosen ? 4 : 3);
  return style;
};

export const styles = {
  region: (_, resolution) => (resolution > FAR ? [new Style({ stroke: new Stroke({ color: ACCENT, width: 1 }), fill: new Fill({ color: "rgba(47,91,234,.3)" }) })]
    : edged(ACCENT, 1.5, "rgba(47,91,234,.10)")),
  cell: edged(ACCENT, 2.5),
  hover: new Style({ stroke: new Stroke({ color: "rgba(255,255,255,.95)", width: 2 }), fill: new Fill({ color: "rgba(255,255,255,.18)" }) }),
  places: (feature) => dot("#1f2733", 11, String(feature.get("number"))),
  wedge: [new Style({ fill: new Fill({ color: "rgba(47,91,234,.42)" }), stroke: new Stroke({ color: "rgba(255,255,255,.85)", width: 1.5 }) })],
  answer: pin,
  truth: [dot("#0f7b4b", 8), new Style({ text: new Text({ text: "true place", font: FONT, offsetY: 20, fill: new Fill({ color: WHITE }),
    backgroundFill: new Fill({ color: "#0f7b4b" }), padding: [3, 6, 2, 6] }) })],
  many: photo,
  drive: (feature) => (feature.get("kind") === "line"
    ? edged(ACCENT, 3) : photo(feature)),
  sketch: [new Style({ stroke: new Stroke({ color: WHITE, width: 5 }), fill: new Fill({ color: "rgba(47,91,234,.15)" }) }),
           new Style({ stroke: new Stroke({ color: ACCENT, width: 3 }), image: new Circle({ radius: 5, fill: new Fill({ color: ACCENT }),
             stroke: new Stroke({ color: WHITE, width: 2 }) }) })],
};
