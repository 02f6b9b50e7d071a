"use strict";
(async () => {
  const canvas = document.getElementById("volume"), where = document.getElementById("where");
  if (!canvas) return;
  const gl = canvas.getContext("webgl2", { alpha: true, antialias: navigator.hardwareConcurrency > 6 }); /* niivue's too: it asks for the same */
  if (!gl) {
    where.textContent = "This browser cannot show it: it has no WebGL 2, or it is switched off. The report shows the slices.";
    return;
  }
  /* Without a graphics card each 3D picture takes seconds: it waits until somebody asks for it. */
  const named = gl.getExtension("WEBGL_debug_renderer_info");
  const slow = /swiftshader|llvmpipe|softpipe|software|basic render/i.test(String(named ? gl.getParameter(named.UNMASKED_RENDERER_WEBGL) : ""));
  const { Niivue, NVImage, SHOW_RENDER, MULTIPLANAR_TYPE } = window.niivue;
  const own = (id) => document.getElementById(id), at = canvas.dataset.at, flat = canvas.dataset.flat === "yes";
  const view = new Niivue({
    backColor: [0, 0, 0, 1], crosshairColor: [1, 0.75, 0.2, 0.8], crosshairWidth: 0.5, dragAndDropEnabled: false,
    isColorbar: false, isRadiologicalConvention: true, multiplanarShowRender: slow ? SHOW_RENDER.NEVER : SHOW_RENDER.ALWAYS,
    multiplanarLayout: MULTIPLANAR_TYPE.GRID, loadingText: "", isOrientationTextVisible: !flat, show3Dcrosshair: false, logLevel: "error",
    onLocationChange: (place) => { where.textContent = (flat ? "Column " + (view.back.dims[1] - place.vox[0]) + ", row " + (view.back.dims[2] - place.vox[1]) : "From the scanner's middle: " + placed(place.mm)) + "; grey value " + Number((place.values?.[0]?.value ?? 0).toPrecision(4)); },
  });
  const placed = (mm) => [["right", "left"], ["to the front", "to the back"], ["up", "down"]].map(([more, less], axis) => Math.abs(mm[axis]).toFixed(0) + " mm " + (mm[axis] < 0 ? less : more)).join(", ");
  /* Asked for at once: what follows keeps the browser busy. */
  async function load(what, options) {
    const answer = await fetch("/volume/" + at + "?what=" + what, { headers: { accept: "application/json" } });
    if (!answer.ok) throw new Error((await answer.json()).error);
    const url = URL.createObjectURL(await answer.blob());
    try { return await NVImage.loadFromUrl({ url, name: what + ".nii.gz", ...options }); } finally { URL.revokeObjectURL(url); }
  }

  /* The map of gradients lights 3D pictures, which are not lit here: without a graphics card it takes longer than all else. */
  let spared = false;
  function withoutGradients() {
    const use = gl.useProgram.bind(gl), draw = gl.drawArrays.bind(gl), fill = gl.texSubImage3D.bind(gl), ready = gl.checkFramebufferStatus.bind(gl);
    let idle = false;
    gl.useProgram = (program) => { idle = false; use(program); };
    gl.drawArrays = (...asked) => { if (!idle && !spared) draw(...asked); };
    gl.texSubImage3D = (...asked) => { if (!spared) fill(...asked); };
    gl.checkFramebufferStatus = (target) => (spared ? gl.FRAMEBUFFER_COMPLETE : ready(target)); /* it waits for all that was asked */
    for (const shader of [view.blurShader, view.sobelFirstOrderShader]) {
      if (!shader) continue;
      const begin = shader.use.bind(shader);
      shader.use = (context) => { begin(context); idle = true; };
    }
  }
  /* What a slider changes is drawn anew from a layer on, below which all is as it was. One that runs ahead is met where it stands. */
  let lens = null, first = Infinity;
  function anew(layer) {
    const waits = first < Infinity;
    first = Math.min(first, layer);
    if (!waits) requestAnimationFrame(() => { const from = first; first = Infinity; lens.changed(from); });
  }

  /* Limits of grey are found in the middle half of a volume: as niivue does, which goes through all of it. */
  const limits = NVImage.prototype.calMinMax;
  NVImage.prototype.calMinMax = function calMinMax(...asked) {
    const { img, hdr } = this, dims = hdr.dims, low = [1, 2, 3].map((axis) => Math.floor(0.25 * dims[axis])), size = low.map((one, axis) => dims[axis + 1] - 2 * one);
    if (asked.length || img.length !== dims[1] * dims[2] * dims[3]) return limits.apply(this, asked);
    const middle = new img.constructor(size[0] * size[1] * size[2]);
    for (let z = 0, to = 0; z < size[2]; z += 1) for (let y = 0; y < size[1]; y += 1, to += size[0]) {
      const from = low[0] + dims[1] * (low[1] + y + dims[2] * (low[2] + z));
      middle.set(img.subarray(from, from + size[0]), to);
    }
    [this.img, hdr.dims] = [middle, [3, ...size, 1, 1, 1, 1]];
    let found;
    try { found = limits.call(this, Infinity, false); } finally { [this.img, hdr.dims] = [img, dims]; }
    return this.global_min === this.global_max ? limits.call(this, Infinity, false) : found;
  };

  /* The cross begins in the tumour: in the middle of the slice that shows most of it, where there is any. */
  function lookAt(mask) {
    const values = mask.img, [, columns, rows, slices] = mask.dimsRAS, { begin, step } = lens.walk(mask);
    const each = (z, seen) => {
      for (let y = 0; y < rows; y += 1) for (let x = 0, at = begin + y * step[1] + z * step[2]; x < columns; x += 1, at += step[0]) if (values[at] > 0) seen(x, y);
    };
    let slice = -1, most = 0;
    for (let z = 0; z < slices; z += 1) {
      let count = 0;
      each(z, () => { count += 1; });
      if (count > most) [slice, most] = [z, count];
    }
    if (slice < 0) return;
    const found = [];
    each(slice, (x, y) => found.push([x, y]));
    const middle = [0, 1].map((axis) => found.reduce((sum, place) => sum + place[axis], 0) / found.length);
    const far = (place) => (place[0] - middle[0]) ** 2 + (place[1] - middle[1]) ** 2;
    const near = found.reduce((best, place) => (far(place) < far(best) ? place : best));
    view.scene.crosshairPos = view.vox2frac([near[0], near[1], slice], view.volumes.indexOf(mask));
    view.drawScene();
  }

  /* What lies above a threshold, with its volume; the volume is counted once, by thousandths. */
  function threshold(maskShown) {
    const slider = own("threshold");
    if (!slider) return;
    let chance = null, above = null, voxel = 0, asked = 0;
    async function fetched() {
      const target = own("target") ? own("target").value : "0", mine = ++asked;
      const found = await load(target, { colormap: "red", opacity: 0.5, cal_min: Number(slider.value), cal_max: 1 });
      if (mine !== asked) return;
      if (chance) view.removeVolume(chance);
      chance = found;
      const counts = new Float64Array(1001);
      for (const value of chance.img) counts[Math.max(0, Math.min(1000, Math.floor(value * 1000)))] += 1;
      above = counts;
      for (let place = 999; place >= 0; place -= 1) above[place] += above[place + 1];
      voxel = Math.abs(chance.hdr.pixDims[1] * chance.hdr.pixDims[2] * chance.hdr.pixDims[3]) / 1000;
      view.addVolume(chance);
    }
    function told() {
      const value = Number(slider.value);
      own("at").textContent = value.toFixed(2);
      if (!above) return;
      const count = above[Math.round(value * 1000)];
      own("ml").textContent = (flat ? count.toLocaleString("en") + " pixels" : (count * voxel).toFixed(1) + " ml") + " lie above it";
      chance.cal_min = value;
      anew(1);
    }
    async function shown() {
      own("chance").disabled = true;
      if (!above || own("target")) await fetched();
      own("chance").disabled = false;
      chance.opacity = own("chance").checked ? 0.5 : 0;
      maskShown(!own("chance").checked);
      told();
    }
    own("chance").addEventListener("change", shown);
    if (own("target")) own("target").addEventListener("change", () => { own("chance").checked = true; shown(); });
    slider.addEventListener("input", () => {
      if (!own("chance").checked) { own("chance").checked = true; shown(); } else told();
    });
    if (own("take")) own("take").addEventListener("click", () => {
      const form = new FormData();
      form.append("threshold", slider.value);
      send("/threshold/" + at, form);
    });
  }

  /* Who came in anew, after the studio was started again, has another token: what is drawn here is not lost for it. */
  async function post(address, form) {
    const ask = () => fetch(address, { method: "POST", body: form, headers: { "x-csrf": canvas.dataset.csrf, accept: "application/json" } });
    const answer = await ask();
    if (answer.status !== 403) return answer;
    const page = new DOMParser().parseFromString(await (await fetch(location.href)).text(), "text/html");
    const token = page.getElementById("volume")?.dataset.csrf;
    if (!token || token === canvas.dataset.csrf) return answer;
    canvas.dataset.csrf = token;
    return ask();
  }
  /* Name of the file that was saved; none where it was not. */
  async function send(address, form) {
    const said = own("saved");
    said.textContent = "Saving …";
    try {
      const answer = await post(address, form);
      const told = await answer.json();
      if (!answer.ok) { said.textContent = "Not saved: " + told.error; return ""; }
      const link = document.createElement("a");
      link.href = "/file/" + at + "/" + encodeURIComponent(told.file);
      link.textContent = told.file;
      const dicom = told.dicom_seg ? document.createElement("a") : "";
      if (dicom) { dicom.href = "/file/" + at + "/" + encodeURIComponent(told.dicom_seg); dicom.textContent = told.dicom_seg; }
      said.replaceChildren("Saved beside the finding, as corrected by hand: ", link, told.volume_ml === null ? "" : " (" + told.volume_ml.toFixed(1) + " ml)", dicom ? " and " : "", dicom, told.remarks ? " " + told.remarks.join("; ") : "");
      const choices = own("choice");
      if (choices) { choices.prepend(new Option(told.file, told.file, true, true)); choices.value = told.file; }
      if (own("reviewed")) own("reviewed").textContent = "corrected";
      return told.file;
    } catch (error) {
      said.textContent = "Not saved: the studio does not answer (" + error.message + ")";
      return "";
    }
  }

  try {
    const both = Promise.all([load("scan", { colormap: "gray" }), load(canvas.dataset.hand ? "hand" : "mask", { colormap: "green", opacity: 0.5, cal_min: 0.1, cal_max: 1 })]);
    both.catch(() => {}); /* told below */
    await view.attachToCanvas(canvas);
    withoutGradients();
    lens = window.studioSlices(view, (on) => { spared = on; });
    lens.few(slow);
    view.setSliceType(flat ? view.sliceTypeAxial : view.sliceTypeMultiplanar);
    const [scan, mask] = await both;
    if (flat) [scan.cal_min, scan.cal_max] = [0, scan.img instanceof Uint8Array ? 255 : scan.global_max]; /* as the file shows it */
    const update = view.updateGLVolume.bind(view);
    view.updateGLVolume = () => {}; /* both at once */
    view.addVolume(scan);
    view.updateGLVolume = update;
    view.addVolume(mask);
    lookAt(mask);
    const low = scan.cal_min, high = scan.cal_max;
    const grey = () => {
      const span = high - low;
      scan.cal_min = low + span * own("low").value / 100;
      scan.cal_max = Math.max(low + span * own("high").value / 100, scan.cal_min + span / 100);
      anew(0);
    };
    own("low").addEventListener("input", grey);
    own("high").addEventListener("input", grey);
    let hidden = false, gone = false;
    const lit = () => { mask.opacity = hidden ? 0 : own("opacity").value / 100; view.drawOpacity = own("opacity").value / 100; anew(1); };
    const maskShown = (on, forGood = false) => { gone ||= forGood; hidden = !on || gone; lit(); };
    own("opacity").addEventListener("input", lit);
    const types = { planes: view.sliceTypeMultiplanar, multi: view.sliceTypeMultiplanar, axial: view.sliceTypeAxial, coronal: view.sliceTypeCoronal, sagittal: view.sliceTypeSagittal, render: view.sliceTypeRender };
    const planes = own("planes"); /* a picture has one */
    if (planes) planes.value = slow ? "planes" : "multi";
    planes?.addEventListener("change", (event) => {
      view.opts.multiplanarShowRender = event.target.value === "planes" ? SHOW_RENDER.NEVER : SHOW_RENDER.ALWAYS;
      lens.few(slow && !["multi", "render"].includes(event.target.value));
      view.setSliceType(types[event.target.value]);
    });
    threshold(maskShown);
    window.studioBrush(view, mask, maskShown, send, post);
    where.textContent = "";
    canvas.dataset.ready = "yes";
    window.addEventListener("beforeprint", () => view.drawScene()); /* its picture is not kept between frames */
    view.lens = lens;
    window.studioView = view;
  } catch (error) {
    where.textContent = "It cannot be shown here (" + error.message + "). The report shows the slices.";
  }
})();
