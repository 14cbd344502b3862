// The slices and surfaces, drawn by NiiVue, and over the sagittal one the names and the S1 box.

import { el } from "./dom.js";
import { boxCorners, flipped, millimetresOf, movedBox } from "./geometry.js";

const SVG = "http://www.w3.org/2000/svg";
const SAGITTAL = 2;
const LAYOUT = [ // sagittal, coronal, axial, surfaces; a spine is tall
  { sliceType: 2, position: [0, 0, 0.6, 1] },
  { sliceType: 1, position: [0.604, 0, 0.146, 1] },
  { sliceType: 0, position: [0.754, 0, 0.246, 0.36] },
  { sliceType: 4, position: [0.754, 0.364, 0.246, 0.636] },
];
const VIEW_3D = { azimuth: 120, elevation: 8, scale: 1.5 }; // a whole spine just fits into its view
const GREY_LEVELS = 99;
const LABELS_OPACITY = 0.38;
const NUDGE_MM = 1;
const NUDGE_FAR_MM = 10;

function svg(tag, attributes, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function keyOf({ key, ctrlKey, metaKey, altKey, shiftKey }) {
  return { key, ctrlKey, metaKey, altKey, shiftKey };
}

let library = null;

function niivue() {
  library ??= new Promise((resolve, reject) => {
    const fail = () => reject(new Error("The viewer cannot be loaded; reload the page."));
    document.head.append(el("script", { src: "static/niivue/niivue.umd.js", on: { load: resolve, error: fail } }));
  });
  return library.then(() => window.niivue);
}

export class Viewer {
  /** `onBox(box)`: the S1 box was let go; `onBoxMoves(box)`: it moves; `onPoint(lps)`: the reader clicked a point. */
  constructor({ onBox, onBoxMoves, onPoint }) {
    Object.assign(this, { onBox, onBoxMoves, onPoint, rows: [], box: null, namesShown: true, boxShown: true });
    this.canvas = el("canvas", { tabIndex: -1, "aria-hidden": "true" });
    this.overlay = svg("svg", { class: "overlay", role: "group", "aria-label": "Picture of the spine" });
    this.node = el("div", { className: "viewer" }, this.canvas, this.overlay);
    this.names = svg("g", { "aria-hidden": "true" });
    this.boxNode = svg("polygon", {
      class: "s1-box", tabindex: 0, role: "button",
      "aria-label": "S1 box. Arrow keys move it, Enter counts from it, Escape puts it back.",
    });
    this.boxName = svg("text", { class: "s1-box-name", "aria-hidden": "true" }, "S1 box");
    this.overlay.append(this.names, this.boxNode, this.boxName);
    // The keys are the page's: NiiVue's own would change the views.
    for (const kind of ["keydown", "keyup"]) {
      this.node.addEventListener(kind, (event) => {
        if (event.target !== this.canvas) return;
        event.stopImmediatePropagation();
        document.body.dispatchEvent(new KeyboardEvent(kind, { ...keyOf(event), bubbles: true }));
      }, true);
    }
    this.boxNode.addEventListener("pointerdown", (event) => this.#drag(event));
    this.boxNode.addEventListener("keydown", (event) => this.#nudge(event));
    this.boxNode.addEventListener("blur", () => this.box !== this.placedBox && this.#moveTo(this.placedBox));
  }

  /** Prepare the canvas, which must be on the page. Throws where there is no WebGL. */
  async start() {
    if (this.nv) return;
    const { Niivue } = await niivue();
    const nv = new Niivue({
      backColor: [0.05, 0.062, 0.08, 1], crosshairColor: [1, 0.75, 0.25, 0.55], crosshairWidthUnit: "mm",
      crosshairWidth: 0.5, sagittalNoseLeft: true, isRadiologicalConvention: true, dragAndDropEnabled: false,
      loadingText: "", fontColor: [0.7, 0.75, 0.8, 1], multiplanarForceRender: true, meshThicknessOn2D: 0,
      logLevel: "error",
    });
    await nv.attachToCanvas(this.canvas);
    this.canvas.tabIndex = -1; // its content is in the table, for the keyboard and for screen readers
    nv.setCustomLayout(LAYOUT);
    nv.onLocationChange = ({ mm }) => this.onPoint?.(flipped([mm[0], mm[1], mm[2]]));
    nv.drawImage3D = () => {}; // in 3-D the surfaces alone, without the block of the scan around them
    nv.setRenderAzimuthElevation(VIEW_3D.azimuth, VIEW_3D.elevation);
    nv.setScale(VIEW_3D.scale);
    const turnAround = nv.setPivot3D.bind(nv);
    nv.setPivot3D = () => { // around the middle of the surfaces, not of the scan
      turnAround();
      const [mesh] = nv.meshes;
      if (!mesh) return;
      const [low, high] = [mesh.extentsMin, mesh.extentsMax].map((point) => [...point]);
      nv.pivot3D = low.map((value, i) => (value + high[i]) / 2);
      nv.furthestFromPivot = Math.hypot(...low.map((value, i) => high[i] - value)) / 2;
    };
    const draw = nv.drawScene.bind(nv);
    nv.drawScene = () => {
      const drawn = draw();
      this.#place();
      return drawn;
    };
    this.nv = nv;
  }

  /** Show another scan: its grey values and its labels, `.nii.gz`, and the labels' colours from the bottom up. */
  async show(scan, labels, colours) {
    const { NVImage } = window.niivue;
    const image = await NVImage.loadFromUrl({
      url: "scan.nii.gz", buffer: scan, colormap: "gray", cal_min: 0, cal_max: GREY_LEVELS,
    });
    const label = await this.#labels(labels, colours);
    this.#removeMeshes();
    for (const old of [...this.nv.volumes]) this.nv.removeVolume(old);
    this.nv.addVolume(image);
    this.nv.addVolume(label);
    this.nv.setOpacity(1, this.namesShown ? LABELS_OPACITY : 0);
  }

  /** Replace the labels of the scan that is shown. */
  async relabel(labels, colours) {
    const label = await this.#labels(labels, colours);
    if (this.nv.volumes.length > 1) this.nv.removeVolume(this.nv.volumes[1]);
    this.nv.addVolume(label);
    this.nv.setOpacity(1, this.namesShown ? LABELS_OPACITY : 0);
  }

  async #labels(buffer, colours) {
    const label = await window.niivue.NVImage.loadFromUrl({ url: "labels.nii.gz", buffer });
    const all = [[0, 0, 0], ...colours];
    label.setColormapLabel({
      R: all.map((c) => c[0]), G: all.map((c) => c[1]), B: all.map((c) => c[2]),
      A: all.map((_, i) => (i ? 255 : 0)), I: all.map((_, i) => i), labels: all.map(() => ""),
    });
    return label;
  }

  /** Show the surfaces, an `.mz3` file, or none. */
  async surfaces(buffer) {
    this.#removeMeshes();
    if (buffer) {
      const { NVMesh } = window.niivue;
      this.nv.addMesh(await NVMesh.loadFromUrl({ url: "surfaces.mz3", buffer, gl: this.nv.gl }));
    }
  }

  #removeMeshes() {
    for (const mesh of [...this.nv.meshes]) this.nv.removeMesh(mesh);
  }

  /** Show the names of these rows, and the S1 box. */
  mark(rows, box) {
    Object.assign(this, { rows, box, placedBox: box });
    this.#place();
  }

  /** Move all views to a point, LPS. */
  goTo(point) {
    if (!this.nv?.volumes.length) return;
    this.nv.scene.crosshairPos = this.nv.mm2frac(flipped(point));
    this.nv.updateGLVolume();
  }

  setNames(shown) {
    this.namesShown = shown;
    if (this.nv?.volumes.length > 1) this.nv.setOpacity(1, shown ? LABELS_OPACITY : 0);
    this.#place();
  }

  setBox(shown) {
    this.boxShown = shown;
    this.#place();
    if (shown) this.boxNode.focus({ preventScroll: true });
  }

  /** Return functions from LPS to the pixels of the sagittal slice, or null while there is none. */
  #projection() {
    const nv = this.nv;
    if (!nv?.volumes?.length) return null;
    const scale = this.canvas.width / Math.max(this.canvas.clientWidth, 1);
    const slice = nv.scene.crosshairPos[0];
    const at = (y, z) => nv.frac2canvasPosWithTile([slice, y, z], SAGITTAL)?.pos;
    const [start, back, up] = [at(0.5, 0.5), at(0.6, 0.5), at(0.5, 0.6)];
    if (!start || !back || !up) return null;
    return (lps) => {
      const [, y, z] = nv.mm2frac(flipped(lps));
      const [dy, dz] = [(y - 0.5) * 10, (z - 0.5) * 10];
      return [0, 1].map((i) => (start[i] + dy * (back[i] - start[i]) + dz * (up[i] - start[i])) / scale);
    };
  }

  #place() {
    const project = this.#projection();
    this.project = project;
    this.names.replaceChildren();
    const hasBox = Boolean(project && this.box && this.boxShown);
    for (const node of [this.boxNode, this.boxName]) node.style.display = hasBox ? "" : "none";
    if (!project) return;
    if (this.namesShown) this.names.append(...this.rows.map((row) => this.#name(row, project)));
    if (!hasBox) return;
    const corners = boxCorners(this.box).map(project);
    this.boxNode.setAttribute("points", corners.map((corner) => corner.join()).join(" "));
    this.boxName.setAttribute("x", corners[2][0] + 6);
    this.boxName.setAttribute("y", (corners[1][1] + corners[2][1]) / 2 + 5);
  }

  #name(row, project) {
    const points = [0, 3].map((corner) => project(row.corners[corner]));
    const x = Math.min(points[0][0], points[1][0]) - 10;
    const y = (points[0][1] + points[1][1]) / 2 + 4;
    return svg("text", { x, y, class: `name ${row.word}` }, row.short);
  }

  #drag(event) {
    if (!this.project || event.button !== 0) return;
    event.preventDefault();
    event.stopPropagation();
    this.boxNode.focus({ preventScroll: true });
    this.boxNode.setPointerCapture(event.pointerId);
    const first = this.box;
    const pixel = this.#millimetres(first);
    const move = (moved) => {
      const [back, up] = pixel([moved.clientX - event.clientX, moved.clientY - event.clientY]);
      this.#moveTo(movedBox(first, back, up));
    };
    const end = (ended) => {
      this.boxNode.removeEventListener("pointermove", move);
      this.boxNode.removeEventListener("pointerup", end);
      this.boxNode.removeEventListener("pointercancel", end);
      if (ended.type === "pointercancel") this.#moveTo(first);
      else if (this.box !== first) this.#letGo();
    };
    this.boxNode.addEventListener("pointermove", move);
    this.boxNode.addEventListener("pointerup", end);
    this.boxNode.addEventListener("pointercancel", end);
  }

  #millimetres(box) {
    const start = this.project(box.center);
    const step = (back, up) => this.project(movedBox(box, back, up).center).map((x, i) => x - start[i]);
    return millimetresOf(step(1, 0), step(0, 1));
  }

  #nudge(event) {
    const far = event.shiftKey ? NUDGE_FAR_MM : NUDGE_MM;
    const step = { ArrowLeft: [-far, 0], ArrowRight: [far, 0], ArrowUp: [0, far], ArrowDown: [0, -far] }[event.key];
    if (step) this.#moveTo(movedBox(this.box, ...step));
    else if (event.key === "Enter") this.#letGo();
    else if (event.key === "Escape" && this.box !== this.placedBox) this.#moveTo(this.placedBox);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #moveTo(box) {
    this.box = box;
    this.#place();
    this.onBoxMoves?.(box === this.placedBox ? null : box);
  }

  #letGo() {
    if (!this.box || this.box === this.placedBox) return;
    this.placedBox = this.box;
    this.onBox?.(this.box);
  }
}
