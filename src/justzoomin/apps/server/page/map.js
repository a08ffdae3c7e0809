// The map: imagery, heat, answers, and what a person points at or draws. OpenLayers stays behind this file.

import { styles } from "./mapstyles.js";
import { around, union } from "./geo.js";
import { calm } from "./dom.js";

const { ol } = window;
const { fromLonLat, toLonLat, transformExtent } = ol.proj;
const GEOJSON = new ol.format.GeoJSON({ dataProjection: "EPSG:4326", featureProjection: "EPSG:3857" });
const PIN_PX = 40;                           // a pin at the upper edge is seen whole
const LEAST_VIEW_M = 60;                     // nobody sees where they are in a view of a few metres

export class MapView extends EventTarget {
  /** `info` is the answer of /v1/map, `tiles` the TileJSON of the map; `target` and `popup` are elements. */
  constructor(info, tiles, target, popup) {
    super();
    const region = transformExtent(info.bounds, "EPSG:4326", "EPSG:3857");
    const most = tiles.maxzoom;
    this.info = info;
    this.zooms = { minZoom: tiles.minzoom, maxZoom: most };
    this.heat = null;
    this.drawing = null;
    this.foot = 0;                           // pixels that something covers at the foot of the map
    this.layers = Object.fromEntries(["region", "cell", "hover", "places", "wedge", "answer", "truth", "many", "drive", "sketch"]
      .map((name) => [name, new ol.layer.Vector({ source: new ol.source.Vector(), style: styles[name] })]));
    this.grid = new ol.layer.Tile({ visible: false, extent: wider(region, 0.01) });
    this.base = new ol.layer.Tile({
      extent: transformExtent(tiles.bounds, "EPSG:4326", "EPSG:3857"),
      source: new ol.source.XYZ({ url: own(tiles.tiles[0]), attributions: tiles.attribution, ...this.zooms }),
    });
    this.heats = new ol.layer.Group({ layers: [], opacity: 0.78 });
    this.view = new ol.View({ extent: wider(region, 1), maxZoom: most + 3, enableRotation: false, smoothExtentConstraint: true,
                              constrainOnlyCenter: true, center: ol.extent.getCenter(region), zoom: most - 3 });
    this.map = new ol.Map({
      target, view: this.view, keyboardEventTarget: target,
      layers: [this.base, this.heats, this.grid, ...Object.values(this.layers)],
      controls: [new ol.control.Zoom({ zoomInTipLabel: "Zoom in", zoomOutTipLabel: "Zoom out" }),
                 new ol.control.Attribution({ collapsible: false }), new ol.control.ScaleLine({ minWidth: 72 })],
    });
    this.popup = new ol.Overlay({ element: popup, positioning: "bottom-center", offset: [0, -12], stopEvent: true });
    this.map.addOverlay(this.popup);
    this.map.on("singleclick", (event) => this.drawing || this.tell("pick", { at: event.coordinate, feature: this.touched(event.pixel) }));
    this.map.on("pointermove", (event) => event.dragging || this.drawing || this.tell("hover", { at: event.coordinate }));
    this.map.on("moveend", () => this.tell("moved"));
    target.addEventListener("pointerleave", () => this.mark("hover", null));
    this.fit(info.bounds, 0);
  }

  tell(type, detail = {}) {
    if (detail.at) [detail.lon, detail.lat] = toLonLat(detail.at);
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  /** The position in the middle of the map. */
  get middle() {
    const [lon, lat] = toLonLat(this.view.getCenter());
    return { lat, lon, zoom: this.view.getZoom() };
  }

  /** Whether a position is well inside of what is shown. */
  sees(lat, lon) {
    const [x, y] = this.map.getPixelFromCoordinate(fromLonLat([lon, lat])) ?? [-1, -1];
    const [width, height] = this.map.getSize();
    return x > 40 && y > 60 && x < width - 40 && y < height - 20 - this.foot;
  }

  /** Go somewhere at once: the view that a link restores. */
  look(lat, lon, zoom) {
    this.view.setCenter(fromLonLat([lon, lat]));
    this.view.setZoom(zoom);
  }

  /** Fly to bounds (west, south, east, north); the promise is true unless another flight came in between. */
  fit(bounds, duration = 700) {
    const middle = [(bounds[1] + bounds[3]) / 2, (bounds[0] + bounds[2]) / 2];
    const extent = transformExtent(union(bounds, around(...middle, LEAST_VIEW_M / 2)), "EPSG:4326", "EPSG:3857");
    const size = this.map.getSize() ?? [800, 600];
    const side = Math.round(Math.min(size[0], size[1]) * 0.05);
    this.view.cancelAnimations();
    return new Promise((resolve) => {
      this.view.fit(extent, { duration: calm() ? 0 : duration, padding: [side + (this.foot && PIN_PX), side, side + this.foot, side], callback: resolve });
    });
  }

  /** Show the posterior of a session at a level; null for none. The old one stays until the new one is drawn. */
  showHeat(session, level) {
    const layers = this.heats.getLayers();
    const before = [...layers.getArray()];
    if (!session || level === 0) {
      layers.clear();
      return;
    }
    const url = `v1/sessions/${session.id}/heat/${level}/{z}/{x}/{y}.png?v=${session.version}`;
    if (before.at(-1)?.get("url") === url) return;
    const layer = new ol.layer.Tile({
      extent: this.grid.getExtent(), properties: { url },
      source: new ol.source.XYZ({ url, interpolate: false, transition: 300, ...this.zooms }),
    });
    layers.push(layer);
    const drop = () => before.forEach((old) => layers.remove(old));
    this.map.once("rendercomplete", drop);
    setTimeout(drop, 2500);
  }

  showGrid(level) {
    if (this.gridLevel === level) return;
    this.gridLevel = level;
    this.grid.setSource(new ol.source.XYZ({ url: `tiles/grid/${level}/{z}/{x}/{y}.png`, interpolate: false, ...this.zooms }));
  }

  /** Show GeoJSON features on a layer instead of what it had; null empties it. */
  mark(layer, features) {
    const source = this.layers[layer].getSource();
    source.clear(true);
    if (features) source.addFeatures(GEOJSON.readFeatures({ type: "FeatureCollection", features }));
    else source.changed();
  }

  clear(...layers) {
    layers.forEach((layer) => this.mark(layer, null));
  }

  setVisible(layer, visible) {
    (layer === "heat" ? this.heats : layer === "grid" ? this.grid : this.layers[layer]).setVisible(visible);
  }

  openPopup(lat, lon) {
    const at = fromLonLat([lon, lat]);
    const pixel = this.map.getPixelFromCoordinate(at);
    const below = pixel && pixel[1] < this.popup.getElement().offsetHeight + 24;      // no room above
    this.popup.setPositioning(below ? "top-center" : "bottom-center");
    this.popup.setOffset([0, below ? 14 : -14]);
    this.popup.setPosition(at);
    this.popup.panIntoView({ margin: 12, animation: calm() ? undefined : { duration: 200 } });
  }

  closePopup() {
    this.popup.setPosition(undefined);
  }

  /** Let a person draw a "Circle" or a "Polygon": a GeoJSON geometry, or {lat, lon, radius_m}; null if it was cancelled. */
  draw(kind) {
    this.stopDrawing();
    return new Promise((resolve) => {
      const source = this.layers.sketch.getSource();
      source.clear();
      const draw = new ol.interaction.Draw({ source, type: kind, style: styles.sketch });
      const doubled = this.map.getInteractions().getArray().find((one) => one instanceof ol.interaction.DoubleClickZoom);
      const end = (result) => {
        this.map.removeInteraction(draw);
        setTimeout(() => {                                       // the click that ends the drawing is no other click
          this.drawing = null;
          doubled?.setActive(true);
        }, 400);
        resolve(result);
      };
      this.drawing = { cancel: () => { draw.abortDrawing(); end(null); } };
      draw.on("drawend", ({ feature }) => end(kind === "Circle" ? circleOf(feature.getGeometry())
        : GEOJSON.writeGeometryObject(feature.getGeometry(), { decimals: 7, rightHanded: true })));
      doubled?.setActive(false);
      this.map.addInteraction(draw);
    });
  }

  stopDrawing() {
    this.drawing?.cancel?.();
  }

  touched(pixel) {
    return this.map.forEachFeatureAtPixel(pixel, (feature) => feature.getProperties(),
                                          { hitTolerance: 6, layerFilter: (layer) => [this.layers.many, this.layers.drive, this.layers.places].includes(layer) }) ?? null;
  }

  resized() {
    this.map.updateSize();
  }
}

/** Return a GeoJSON feature. */
export const feature = (geometry, properties = {}) => ({ type: "Feature", geometry, properties });
export const point = (lat, lon, properties) => feature({ type: "Point", coordinates: [lon, lat] }, properties);
export const polygon = (ring, properties) => feature({ type: "Polygon", coordinates: [ring] }, properties);

/** Return a circle on the ground as a polygon. */
export function disk(lat, lon, radius, properties) {
  return polygon(ol.geom.Polygon.circular([lon, lat], Math.max(radius, 0.1), 64).getCoordinates()[0], properties);
}

function circleOf(geometry) {
  const centre = geometry.getCenter();
  const [lon, lat] = toLonLat(centre);
  const edge = toLonLat([centre[0] + geometry.getRadius(), centre[1]]);
  return { lat, lon, radius_m: ol.sphere.getDistance([lon, lat], edge) };
}

function wider(extent, share) {
  return ol.extent.buffer(extent, Math.max(ol.extent.getWidth(extent), ol.extent.getHeight(extent)) * share);
}

/** Return an address of the service as one that is relative to the page: a proxy may change where the service is. */
function own(address) {
  return address.slice(address.indexOf("tiles/map/"));
}
