"use strict";
/* Without a graphics card it takes seconds to colour all voxels of a volume anew. Where planes alone are shown, this
   colours the slices that the cross lies in, and the others when the cross comes there: the same colours, a few
   milliseconds. What shows a volume in 3D needs them all: then niivue does it. */
window.studioSlices = (view, spares) => {
  const gl = view.gl, whole = view.refreshLayers.bind(view), draw = view.drawScene.bind(view), RGB = [128, 2304];
  let few = false, fresh = new Set();

  /* Where a voxel lies in the file's own order, and what a step to the right, to the front and up adds to it. */
  function walk(volume) {
    const [, wide, tall] = volume.hdr.dims, steps = [1, wide, wide * tall], way = { begin: 0, step: [0, 0, 0] };
    volume.permRAS.forEach((signed, axis) => {
      const along = Math.abs(signed) - 1;
      way.step[axis] = Math.sign(signed) * steps[along];
      if (signed < 0) way.begin += steps[along] * (volume.hdr.dims[along + 1] - 1);
    });
    return way;
  }
  const alike = (one) => one.nFrame4D <= 1 && !RGB.includes(one.hdr.datatypeCode) && !(one.colormapLabel?.lut) && !one.colormapNegative
    && one.dimsRAS.every((side, at) => at < 1 || at > 3 || side === view.volumes[0].dimsRAS[at])
    && one.matRAS.every((value, at) => Math.abs(value - view.volumes[0].matRAS[at]) < 1e-3);
  const possible = () => view.volumes.length > 0 && !view.opts.is2DSliceShader && view.volumes.every(alike);

  /* Colours one layer of a slice as niivue's shader does, over what is there. */
  function paint(volume, over, begin, size, into) {
    const { img: values, hdr: { scl_slope: slope, scl_inter: inter }, opacity } = volume, low = Math.min(volume.cal_min, volume.cal_max);
    if (over && opacity === 0) return;
    const span = Math.max(1e-5, Math.abs(volume.cal_max - volume.cal_min)), table = view.colormap(volume.colormap), way = walk(volume);
    const scale = 256 * slope / span, shift = 256 * (inter - low) / span, [right] = way.step;
    for (let z = 0, to = 0; z < size[2]; z += 1) for (let y = 0; y < size[1]; y += 1) {
      let from = way.begin + begin[0] * right + (begin[1] + y) * way.step[1] + (begin[2] + z) * way.step[2];
      for (let x = 0; x < size[0]; x += 1, from += right, to += 4) {
        let share = values[from] * scale + shift;
        if (share > 0 && share < 2) share = 2; /* the least above the limit is seen */
        const at = share > 0.5 ? 4 * Math.min(255, Math.round(share - 0.5)) : 0; /* what is no number is the lowest */
        if (!over) { into[to] = table[at]; into[to + 1] = table[at + 1]; into[to + 2] = table[at + 2]; into[to + 3] = 255; continue; }
        if (table[at + 3] === 0) continue;
        const below = (1 - opacity) * into[to + 3] / 255, both = opacity + below;
        for (let one = 0; one < 3; one += 1) into[to + one] = Math.round((table[at + one] * opacity + into[to + one] * below) / both);
        into[to + 3] = Math.round(255 * both);
      }
    }
  }
  function coloured(axis, place) {
    const begin = [0, 0, 0], size = view.volumes[0].dimsRAS.slice(1, 4);
    begin[axis] = place;
    size[axis] = 1;
    const under = new Uint8Array(4 * size[0] * size[1] * size[2]), over = new Uint8Array(under.length);
    view.volumes.forEach((volume, layer) => paint(volume, layer > 0, begin, size, layer > 0 ? over : under));
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    const textures = [[gl.TEXTURE0, view.volumeTexture, under], [gl.TEXTURE2, view.overlayTexture, over]];
    for (const [unit, texture, colours] of textures.slice(0, view.volumes.length)) {
      gl.activeTexture(unit);
      gl.bindTexture(gl.TEXTURE_3D, texture);
      gl.texSubImage3D(gl.TEXTURE_3D, 0, ...begin, ...size, gl.RGBA, gl.UNSIGNED_BYTE, colours);
    }
  }
  /* Both slices that the cross lies between, if it lies between two. */
  function met() {
    const dims = view.volumes[0].dimsRAS;
    view.scene.crosshairPos.forEach((share, axis) => {
      const place = share * dims[axis + 1] - 0.5, last = dims[axis + 1] - 1;
      for (const at of new Set([Math.floor(place + 1e-3), Math.ceil(place - 1e-3)].map((one) => Math.min(Math.max(one, 0), last)))) {
        const name = axis + " " + at;
        if (fresh.has(name)) continue;
        coloured(axis, at);
        fresh.add(name);
      }
    });
  }
  view.refreshLayers = (volume, layer) => {
    if (!few || !possible()) { few = false; whole(volume, layer); return; }
    spares(true); /* textures of the right size, none of their voxels */
    try { whole(volume, layer); } finally { spares(false); }
    fresh = new Set();
  };
  view.drawScene = () => { if (few && possible() && view.overlayTexture) met(); return draw(); };
  return {
    walk,
    /* Whether planes alone are shown. */
    few(on) {
      if (on === few) return;
      few = on;
      if (view.volumes.length) view.updateGLVolume();
    },
    /* Colours, limits or opacities are others now, from this layer on. */
    changed(first) {
      fresh = new Set();
      if (!few) for (let at = first; at < view.volumes.length; at += 1) whole(view.volumes[at], at);
      view.drawScene();
    },
  };
};
