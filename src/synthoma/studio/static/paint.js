"use strict";
/* A tumour tried in one slice: what the dials say is painted as they are turned, the newest only. */
(async () => {
  const form = document.getElementById("painting");
  if (!form || !form.dataset.at) return;
  const own = (id) => document.getElementById(id), at = form.dataset.at, told = own("told"), picture = own("slice-picture"), mark = own("mark"), easel = own("easel");
  let place = null, asked = 0, busy = false, again = false, stroke = null;
  const outlines = {}, FINE = 0.006; /* by slice: closed outlines, corners as shares of height and width */

  function query(paint) {
    const words = new URLSearchParams(new FormData(form));
    for (const name of ["csrf", "at", "name", "copies", "beside"]) words.delete(name);
    words.set("sequence", own("sequence").value);
    if (paint) words.set("paint", "yes");
    if (own("outline").checked) words.set("outline", "yes");
    return words;
  }
  function marked() {
    mark.hidden = place === null;
    own("row").value = place === null ? "" : place[0];
    own("column").value = place === null ? "" : place[1];
    if (place !== null) { mark.style.top = 100 * place[0] + "%"; mark.style.left = 100 * place[1] + "%"; }
  }
  /* A shape of one's own: outlines lie over the picture; place and volume are theirs. */
  const slice = () => own("slice").value, here = () => outlines[slice()] || [], some = () => Object.keys(outlines).length > 0;
  function inked() {
    const drawn = (kind, corners) => {
      const line = document.createElementNS("http://www.w3.org/2000/svg", kind);
      line.setAttribute("points", corners.map(([row, column]) => column + "," + row).join(" "));
      return line;
    };
    own("ink").replaceChildren(...here().map((corners) => drawn("polygon", corners)), ...(stroke ? [drawn("polyline", stroke)] : []));
    own("outlines").value = some() ? JSON.stringify(outlines) : "";
    own("undraw").disabled = !stroke && !here().length;
    own("clear").disabled = !here().length;
    own("place").disabled = own("size").disabled = some();
    if (some() && !own("draw").checked) { place = null; marked(); }
  }
  function closed() {
    const corners = stroke;
    stroke = null;
    if (corners && corners.length > 2) (outlines[slice()] ||= []).push(corners.map((pair) => pair.map((share) => Number(share.toFixed(4)))));
    inked();
    drawn();
  }
  const within = (event) => {
    const box = picture.getBoundingClientRect(), share = (value) => Math.min(Math.max(value, 0), 1);
    return [share((event.clientY - box.top) / box.height), share((event.clientX - box.left) / box.width)];
  };
  easel.addEventListener("pointerdown", (event) => {
    if (!own("draw").checked || event.button !== 0) return;
    easel.setPointerCapture(event.pointerId);
    stroke = [within(event)];
    inked();
  });
  easel.addEventListener("pointermove", (event) => {
    if (!stroke || !easel.hasPointerCapture(event.pointerId)) return;
    const corner = within(event), last = stroke[stroke.length - 1];
    if (Math.hypot(corner[0] - last[0], corner[1] - last[1]) < FINE) return;
    stroke.push(corner);
    inked();
  });
  for (const end of ["pointerup", "pointercancel"]) easel.addEventListener(end, (event) => { if (stroke && easel.hasPointerCapture(event.pointerId)) closed(); });
  own("draw").addEventListener("change", () => {
    own("how").hidden = !own("draw").checked;
    easel.classList.toggle("draws", own("draw").checked);
    stroke = null;
    inked();
  });
  function undrawn(all) {
    if (stroke && !all) stroke = null;
    else if (all || here().length < 2) delete outlines[slice()];
    else here().pop();
    inked();
    drawn();
  }
  own("undraw").addEventListener("click", () => undrawn(false));
  own("clear").addEventListener("click", () => undrawn(true));

  async function fetched(words) {
    const answer = await fetch("/sketch/" + at + "?" + words, { headers: { accept: "image/png, application/json" } });
    if (!answer.ok) throw new Error((await answer.json()).error);
    const old = picture.src;
    picture.src = URL.createObjectURL(await answer.blob());
    picture.hidden = false;
    if (old) URL.revokeObjectURL(old);
    return answer.headers;
  }
  function plain() { return own("before").checked; }
  async function drawn() {
    if (busy) { again = true; return; }
    busy = true;
    const mine = ++asked;
    try {
      const said = await fetched(query(!plain()));
      if (mine === asked) told.textContent = plain() ? "The slice as it is." : !said.get("x-grade") ? "Nothing is drawn in this slice." : "Painted: " + said.get("x-grade") + " grade, " + (some() ? "in the shape that you drew, " : Number(said.get("x-painted-ml")).toFixed(1) + " ml, ") + Math.round(100 * Number(said.get("x-core-share"))) + " % core, in " + Number(said.get("x-seconds")).toFixed(2) + " s.";
    } catch (error) {
      told.textContent = "Not painted here: " + error.message;
      await fetched(query(false)).catch(() => null);
    }
    easel.dataset.drawn = Number(easel.dataset.drawn || 0) + 1;
    busy = false;
    if (again) { again = false; drawn(); }
  }
  async function opened() {
    told.textContent = "Reading the scan …";
    const words = new URLSearchParams({ case: own("case").value || "0", shows: own("shows").value });
    const answer = await fetch("/slices/" + at + "?" + words, { headers: { accept: "application/json" } });
    const facts = await answer.json();
    if (!answer.ok) { told.textContent = facts.error; return; }
    if (!own("case").options.length) {
      facts.cases.forEach((name, number) => own("case").append(new Option(name, String(number))));
      own("case").parentElement.hidden = facts.cases.length < 2;
    }
    own("sequence").replaceChildren(...facts.sequences.map((name) => new Option(name, name)));
    for (const side of easel.querySelectorAll(".side")) side.hidden = !facts.sided;
    own("slice").max = facts.slices - 1;
    own("slice").value = facts.middle;
    own("slice").disabled = facts.slices < 2;
    leafed();
    told.textContent = "Finding brain and tissues …";
    await drawn();
  }
  function leafed() { own("slice-at").textContent = Number(own("slice").value) + 1 + " of " + (Number(own("slice").max) + 1); stroke = null; inked(); }
  function moved(row, column) {
    place = [Math.min(Math.max(row, 0), 0.999), Math.min(Math.max(column, 0), 0.999)];
    marked();
    if (!own("draw").checked) drawn();
  }
  easel.addEventListener("click", (event) => {
    if (own("draw").checked || some()) return;
    const box = picture.getBoundingClientRect();
    moved((event.clientY - box.top) / box.height, (event.clientX - box.left) / box.width);
  });
  const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  easel.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const step = steps[event.key], by = event.shiftKey ? 0.01 : 0.04;
    if (own("draw").checked && event.key === " ") { stroke = [...(stroke || []), place || [0.5, 0.5]]; inked(); told.textContent = stroke.length + (stroke.length > 1 ? " corners" : " corner"); }
    else if (own("draw").checked && event.key === "Enter") closed();
    else if (step && some() && !own("draw").checked) return;
    else if (step) moved((place ? place[0] : 0.5) + by * step[0], (place ? place[1] : 0.5) + by * step[1]);
    else if (event.key === "PageUp" || event.key === "PageDown") { own("slice").value = Number(own("slice").value) + (event.key === "PageUp" ? 1 : -1); leafed(); drawn(); }
    else if (event.key === "Delete" || event.key === "Backspace") { place = null; marked(); drawn(); }
    else return;
    event.preventDefault();
  });
  own("slice").addEventListener("input", leafed);
  for (const id of ["case", "shows"]) own(id).addEventListener("change", () => { place = null; for (const at of Object.keys(outlines)) delete outlines[at]; marked(); opened(); });
  form.addEventListener("input", (event) => {
    if (["case", "shows", "name", "copies"].includes(event.target.name) || event.target.name === "beside") return;
    const wanted = form.elements[{ ml: "size_wanted", oedema: "oedema_wanted", enhancing: "enhancing_wanted" }[event.target.name]];
    if (wanted) wanted.checked = true; /* who turns a dial wants it */
    if (["lobe", "side"].includes(event.target.name)) { place = null; marked(); }
    drawn();
  });
  marked();
  await opened();
})();
