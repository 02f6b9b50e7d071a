"use strict";
(async () => {
  const canvas = document.getElementById("volume"), where = document.getElementById("where");
  if (!canvas) return;
  if (!document.createElement("canvas").getContext("webgl2")) {
    where.textContent = "This browser cannot show it: it has no WebGL 2, or it is switched off. The report shows the slices.";
    return;
  }
  const { Niivue, NVImage, SHOW_RENDER, MULTIPLANAR_TYPE } = window.niivue;
  const view = new Niivue({
    backColor: [0, 0, 0, 1], crosshairColor: [1, 0.75, 0.2, 0.8], crosshairWidth: 0.5, dragAndDropEnabled: false,
    isColorbar: false, isRadiologicalConvention: true, multiplanarShowRender: SHOW_RENDER.ALWAYS,
    multiplanarLayout: MULTIPLANAR_TYPE.GRID, loadingText: "", show3Dcrosshair: false, logLevel: "error",
    onLocationChange: (place) => { where.textContent = place.string; },
  });
  try {
    await view.attachToCanvas(canvas);
    view.setSliceType(view.sliceTypeMultiplanar);
    const load = (what, options) => NVImage.loadFromUrl({ url: "/volume/" + canvas.dataset.at + "?what=" + what, name: what + ".nii.gz", ...options });
    const scan = await load("scan", { colormap: "gray" });
    view.addVolume(scan);
    view.addVolume(await load("mask", { colormap: "green", opacity: 0.5, cal_min: 0.1, cal_max: 1 }));
    const low = scan.cal_min, high = scan.cal_max, own = (id) => document.getElementById(id);
    const grey = () => {
      const span = high - low;
      scan.cal_min = low + span * own("low").value / 100;
      scan.cal_max = Math.max(low + span * own("high").value / 100, scan.cal_min + span / 100);
      view.updateGLVolume();
    };
    own("low").addEventListener("input", grey);
    own("high").addEventListener("input", grey);
    own("opacity").addEventListener("input", (event) => view.setOpacity(1, event.target.value / 100));
    const types = { multi: view.sliceTypeMultiplanar, axial: view.sliceTypeAxial, coronal: view.sliceTypeCoronal, sagittal: view.sliceTypeSagittal, render: view.sliceTypeRender };
    own("planes").addEventListener("change", (event) => view.setSliceType(types[event.target.value]));
    where.textContent = "";
    canvas.dataset.ready = "yes";
  } catch (error) {
    where.textContent = "It cannot be shown here (" + error.message + "). The report shows the slices.";
  }
})();
