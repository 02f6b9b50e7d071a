"use strict";
/* A generator's first images, drawn anew as dials turn; the newest wish only. */
(async () => {
  const form = document.getElementById("dials");
  if (!form) return;
  const own = (id) => document.getElementById(id), at = form.dataset.at, told = own("tried");
  const DIALS = ["seed", "label", "truncation", "size_wanted", "ml", "lobe", "side"], SLOW = ["seed", "label", "size_wanted", "ml", "lobe", "side"];

  function query() {
    const all = new FormData(form), words = new URLSearchParams();
    for (const name of DIALS) if (all.get(name)) words.set(name, all.get(name));
    return words;
  }
  /* One request at a time; what is wished for meanwhile is asked for once it is over. */
  function shower(picture, address) {
    let busy = false, again = false;
    return async function show() {
      if (busy) { again = true; return; }
      busy = true;
      const began = performance.now();
      try {
        const answer = await fetch(address(), { headers: { accept: "image/png, application/json" } });
        if (!answer.ok) throw new Error((await answer.json()).error);
        const old = picture.src;
        picture.src = URL.createObjectURL(await answer.blob());
        picture.hidden = false;
        if (old) URL.revokeObjectURL(old);
        told.textContent = "Drawn in " + ((performance.now() - began) / 1000).toFixed(1) + " s. A cohort of this seed begins with these images" + (form.elements.keep && Number(form.elements.keep.value) < 1 ? ", but for what its judge leaves out." : ".");
      } catch (error) {
        told.textContent = "Not drawn: " + error.message;
      }
      picture.dataset.drawn = Number(picture.dataset.drawn || 0) + 1;
      busy = false;
      if (again) { again = false; show(); }
    };
  }
  const sheet = shower(own("trial"), () => {
    const words = query();
    if (own("outline").checked) words.set("outline", "yes");
    return "/tried/" + at + "?" + words;
  });
  const tween = shower(own("tween"), () => {
    const words = query();
    for (const name of ["one", "other", "share"]) words.set(name, own(name).value);
    return "/between-images/" + at + "?" + words;
  });
  form.addEventListener("input", (event) => {
    const name = event.target.name || event.target.id;
    if (name === "ml") form.elements.size_wanted.checked = true; /* who turns a dial wants it */
    if (["one", "other", "share"].includes(name)) { tween(); return; }
    if (!DIALS.includes(name) && name !== "outline" && name !== "keep") return;
    if (SLOW.includes(name)) told.textContent = "Drawing …";
    if (name !== "keep") sheet();
    if (SLOW.includes(name) && !own("tween").hidden) tween();
  });
  await sheet();
})();
