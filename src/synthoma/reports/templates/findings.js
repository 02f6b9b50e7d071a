"use strict";
(() => {
  const NO_3D = "This browser cannot show it in 3D: it has no WebGL 2, or it is switched off. The slices above show the same.";
  let library = null;

  /* The viewer lies compressed in this page, once, and is unpacked at the first click. */
  function viewer() {
    library ??= (async () => {
      const packed = Uint8Array.from(atob(document.getElementById("viewer").textContent), (one) => one.charCodeAt(0));
      const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
      const script = document.createElement("script");
      script.textContent = await new Response(unpacked).text();
      document.head.append(script);
      return window.niivue;
    })();
    return library;
  }

  async function turn(place, small) {
    const words = place.querySelector(".turned-words"), canvas = place.querySelector("canvas");
    place.hidden = false;
    if (!document.createElement("canvas").getContext("webgl2") || !window.DecompressionStream) {
      words.textContent = NO_3D;
      place.querySelector(".stage").remove();
      return;
    }
    const { Niivue, NVImage, SHOW_RENDER, MULTIPLANAR_TYPE } = await viewer();
    const view = new Niivue({
      backColor: [0, 0, 0, 1], crosshairColor: [1, 0.75, 0.2, 0.8], crosshairWidth: 0.5, dragAndDropEnabled: false,
      isColorbar: false, isRadiologicalConvention: true, multiplanarShowRender: SHOW_RENDER.ALWAYS,
      multiplanarLayout: MULTIPLANAR_TYPE.GRID, loadingText: "",
      show3Dcrosshair: false, logLevel: "error",
    });
    await view.attachToCanvas(canvas);
    view.setSliceType(view.sliceTypeMultiplanar);
    view.addVolume(await NVImage.loadFromBase64({ base64: small.scan, name: "scan.nii.gz", colormap: "gray", cal_min: 0, cal_max: 255 }));
    view.addVolume(await NVImage.loadFromBase64({ base64: small.mask, name: "mask.nii.gz", colormap: "green", opacity: 0.5, cal_min: 0.1, cal_max: 1 }));
    const centre = centre_of(view.volumes[1]);
    if (centre) { view.scene.crosshairPos = view.mm2frac(centre); view.drawScene(); }
    canvas.dataset.ready = "yes";
  }

  /* Where most of the mask lies, so that the three planes open there. */
  function centre_of(mask) {
    const values = mask.img, [, across, down] = mask.hdr.dims, sums = [0, 0, 0];
    let count = 0;
    for (let at = 0; at < values.length; at++) {
      if (!values[at]) continue;
      sums[0] += at % across; sums[1] += Math.floor(at / across) % down; sums[2] += Math.floor(at / (across * down));
      count++;
    }
    if (!count) return null;
    const voxel = sums.map((sum) => sum / count);
    return mask.hdr.affine.slice(0, 3).map((row) => row[0] * voxel[0] + row[1] * voxel[1] + row[2] * voxel[2] + row[3]);
  }

  function leaf(article) {
    const data = JSON.parse(article.querySelector(".data").textContent), find = (name) => article.querySelector(name);
    const under = find(".under"), over = find(".over"), where = find(".where"), which = find(".which");
    const strength = find(".strength"), toggle = find(".toggle"), button = find(".turn");
    let at = data.first, on = true;
    function show() {
      const [number, chance, picture, outline] = data.slices[at];
      under.src = "data:image/webp;base64," + picture;
      over.hidden = !outline || !on;
      if (outline) over.src = "data:image/png;base64," + outline;
      over.style.opacity = strength.value / 100;
      where.textContent = (data.of > 1 ? "slice " + number + " of 0 to " + (data.of - 1) + ", " : "") + "chance " + chance;
      toggle.textContent = on ? "Hide outline" : "Show outline";
      toggle.setAttribute("aria-pressed", String(on));
    }
    which?.addEventListener("input", () => { at = Number(which.value); show(); });
    strength.addEventListener("input", show);
    toggle.addEventListener("click", () => { on = !on; show(); });
    button?.addEventListener("click", () => {
      button.disabled = true;
      turn(find(".turned"), data.small).catch((error) => {
        find(".turned-words").textContent = NO_3D + " (" + error.message + ")";
      });
    });
    window.addEventListener("beforeprint", () => {
      at = data.first; on = true; strength.value = 100;
      if (which) which.value = at;
      show();
    });
    find(".controls").hidden = false;
  }

  for (const article of document.querySelectorAll("article.scan")) if (article.querySelector(".data")) leaf(article);
})();
