"use strict";
/* A brush on the mask that the model made, by pointer or by keys: what is saved lies on the scan's own grid. */
window.studioBrush = (view, mask, maskShown, send, post) => {
  const own = (id) => document.getElementById(id), pen = own("brush"), canvas = own("volume"), said = own("said");
  if (!pen) return;
  const at = canvas.dataset.at, flat = canvas.dataset.flat === "yes";
  const plane = () => (flat ? "axial" : own("plane").value), many = own("between"); /* one picture has no slices between */
  let begun = false, unsaved = false;
  const touched = () => { unsaved = begun; };
  window.addEventListener("beforeunload", (event) => { if (unsaved) event.preventDefault(); });
  canvas.addEventListener("pointerdown", () => { if (pen.value !== "") touched(); });
  function begin() {
    if (begun) return;
    begun = true;
    view.loadDrawing(mask.clone());
    maskShown(false, true); /* what is drawn holds it */
    own("save").disabled = false;
    if (many) many.disabled = false;
  }
  function chosen() {
    view.opts.penSize = Number(own("width").value);
    if (pen.value === "") { view.setDrawingEnabled(false); return; }
    begin();
    view.setDrawingEnabled(true);
    view.setPenValue(Number(pen.value), own("filled").checked);
  }
  for (const id of ["brush", "filled", "width"]) own(id).addEventListener("change", chosen);
  const undo = () => { if (begun) { view.drawUndo(); touched(); } };
  own("undo").addEventListener("click", undo);

  async function drawn() {
    const bytes = await view.saveImage({ filename: "", isSaveDrawing: true });
    if (!(bytes instanceof Uint8Array)) return null;
    const form = new FormData();
    form.append("mask", new Blob([bytes]), "mask.nii");
    form.append("began", canvas.dataset.hand || "");
    return form;
  }
  own("save").addEventListener("click", async () => {
    const form = await drawn();
    if (form === null) { own("saved").textContent = "Not saved: nothing was drawn"; return; }
    unsaved = false; /* what is drawn from here on is not in it */
    const saved = await send("/correct/" + at, form);
    if (saved) canvas.dataset.hand = saved;
    else unsaved = true;
  });

  /* Slices between: the server interpolates shapes, and what comes back can be undone as one stroke. */
  async function between() {
    const form = begun ? await drawn() : null;
    if (form === null) { said.textContent = "Draw on two slices first."; return; }
    form.append("plane", plane());
    form.append("which", own("which").value);
    said.textContent = "Filling …";
    try {
      const answer = await post("/between/" + at, form);
      if (!answer.ok) { said.textContent = "Not filled: " + (await answer.json()).error; return; }
      const address = URL.createObjectURL(await answer.blob());
      const filled = await window.niivue.NVImage.loadFromUrl({ url: address, name: "mask.nii" });
      URL.revokeObjectURL(address);
      const before = view.drawBitmap;
      view.loadDrawing(filled);
      const after = view.drawBitmap;
      view.drawClearAllUndoBitmaps();
      view.drawBitmap = before;
      view.drawAddUndoBitmap();
      view.drawBitmap = after;
      view.drawAddUndoBitmap();
      view.refreshDrawing(true);
      touched();
      said.textContent = answer.headers.get("x-slices") + " slices filled; Undo takes it back.";
    } catch (error) {
      said.textContent = "Not filled: the studio does not answer (" + error.message + ")";
    }
  }
  many?.addEventListener("click", between);

  /* Keys, while the picture has the focus. The picture shows the patient's right on the left. */
  const PLANES = ["axial", "coronal", "sagittal"];
  const STEPS = {
    axial: { ArrowLeft: [1, 0, 0], ArrowRight: [-1, 0, 0], ArrowUp: [0, 1, 0], ArrowDown: [0, -1, 0], PageUp: [0, 0, 1], PageDown: [0, 0, -1] },
    coronal: { ArrowLeft: [1, 0, 0], ArrowRight: [-1, 0, 0], ArrowUp: [0, 0, 1], ArrowDown: [0, 0, -1], PageUp: [0, 1, 0], PageDown: [0, -1, 0] },
    sagittal: { ArrowLeft: [0, -1, 0], ArrowRight: [0, 1, 0], ArrowUp: [0, 0, 1], ArrowDown: [0, 0, -1], PageUp: [1, 0, 0], PageDown: [-1, 0, 0] },
  };
  const name = () => pen.selectedOptions[0].textContent;
  function stroke() {
    if (pen.value === "") { pen.selectedIndex = 1; chosen(); }
    begin();
    view.opts.penSize = Number(own("width").value);
    const held = view.drawPenAxCorSag;
    view.drawPenAxCorSag = PLANES.indexOf(plane());
    view.drawPt(...view.frac2vox(view.scene.crosshairPos), Number(pen.value));
    view.drawPenAxCorSag = held;
    touched();
    view.drawAddUndoBitmap();
    view.refreshDrawing(true);
  }
  function told(what) {
    const place = view.frac2vox(view.scene.crosshairPos), axis = { axial: 2, coronal: 1, sagittal: 0 }[plane()];
    const here = begun ? view.drawBitmap[place[0] + view.back.dims[1] * (place[1] + view.back.dims[2] * place[2])] : 0;
    const label = [...pen.options].find((one) => one.value === String(here) && here > 0);
    said.textContent = what + (flat ? "" : plane() + " ") + "slice " + (place[axis] + 1) + " of " + view.back.dims[axis + 1] + ", at " + place.map((one) => one + 1).join(", ") + (begun ? ", " + (label ? label.textContent : "no tumour") : "");
  }
  function size(step) {
    const width = own("width");
    width.value = Number(width.value) + step;
    chosen();
    said.textContent = "width " + width.value;
  }
  const does = {
    " ": () => { stroke(); told(pen.value === "0" ? "erased: " : "painted: "); },
    "[": () => size(-1), "]": () => size(1),
    "e": () => { pen.value = pen.value === "0" ? pen.options[1].value : "0"; chosen(); said.textContent = "brush: " + name(); },
    "p": () => { if (!flat) own("plane").selectedIndex = (own("plane").selectedIndex + 1) % 3; told(""); },
    "u": () => { undo(); told("undone: "); },
    "f": () => { if (many) between(); },
  };
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const step = STEPS[plane()][event.key], key = does[event.key.toLowerCase()];
    const label = /^[1-9]$/.test(event.key) && [...pen.options].find((one) => one.value === event.key);
    if (!step && !key && !label) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (step) {
      view.moveCrosshairInVox(...step);
      if (event.shiftKey) stroke();
      told(event.shiftKey ? (pen.value === "0" ? "erased: " : "painted: ") : "");
    } else if (key) key();
    else { pen.value = event.key; chosen(); said.textContent = "brush: " + name(); }
  }, true);
};
