"use strict";
(() => {
  /* A job that is not over: how far it is, once a second; the page is loaded anew when it ends. */
  function time(seconds) {
    const whole = Math.max(0, Math.round(seconds));
    return whole < 60 ? whole + " s" : whole < 3600 ? Math.floor(whole / 60) + ":" + String(whole % 60).padStart(2, "0") + " min" : Math.floor(whole / 3600) + ":" + String(Math.floor(whole / 60) % 60).padStart(2, "0") + " h";
  }
  async function follow(place) {
    const said = place.querySelector(".said"), bar = place.querySelector("progress"), word = place.querySelector(".state");
    for (;;) {
      await new Promise((next) => setTimeout(next, 1000));
      let now;
      try {
        const answer = await fetch("/job/" + place.dataset.job + "/state", { headers: { accept: "application/json" } });
        if (!answer.ok) { if (said) said.textContent = "the studio does not know this page any more: open the address that the terminal shows"; return; }
        now = await answer.json();
      } catch {
        if (said) said.textContent = "the studio does not answer; the job goes on when it is started again";
        continue;
      }
      if (now.over) { location.reload(); return; }
      if (word) { word.textContent = now.state; word.className = "state left s-" + now.state; }
      if (said) said.textContent = now.phase + " " + now.amount + (now.left === null ? "" : ", " + time(now.left) + " left");
      if (bar) bar.value = now.share;
    }
  }
  for (const place of document.querySelectorAll("[data-job]")) follow(place);

  /* The newest samples of a training, where there are any. */
  async function refresh(place) {
    const picture = document.createElement("img");
    picture.alt = "newest sheet of samples";
    for (;;) {
      const answer = await fetch(place.dataset.sheet + "?quiet").catch(() => null);
      if (answer && answer.ok && answer.status === 200) {
        const old = picture.src;
        picture.src = URL.createObjectURL(await answer.blob());
        if (old) URL.revokeObjectURL(old);
        if (!picture.isConnected) place.append(picture);
      }
      if (!document.querySelector("[data-job]")) return;
      await new Promise((next) => setTimeout(next, 5000));
    }
  }
  for (const place of document.querySelectorAll("[data-sheet]")) refresh(place);

  for (const button of document.querySelectorAll("[data-copy]")) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      button.textContent = "Copied";
    });
  }

  /* Files that are dropped onto a form; without this, its button does the same. */
  for (const form of document.querySelectorAll("[data-drop]")) {
    const input = form.querySelector("input[type=file]"), said = form.querySelector(".sent");
    const over = (on) => (event) => { event.preventDefault(); form.classList.toggle("over", on); };
    form.addEventListener("dragover", over(true));
    form.addEventListener("dragleave", over(false));
    form.addEventListener("drop", (event) => {
      over(false)(event);
      input.files = event.dataTransfer.files;
      said.textContent = input.files.length + " chosen";
    });
    form.addEventListener("submit", () => { said.textContent = "Sending …"; });
  }

  /* Sliders say where they stand. */
  for (const input of document.querySelectorAll("[data-shown]")) {
    const said = input.parentElement.querySelector("output"), tell = () => { said.textContent = input.value; };
    input.addEventListener("input", tell);
    tell();
  }

  /* How many patients are held out, as a form of corrections stands; the server says the same without this. */
  for (const form of document.querySelectorAll("[data-meter]")) {
    const said = form.querySelector(".meter"), least = Number(form.dataset.meter);
    if (!said || !form.querySelector("[data-patient]")) continue;
    const complete = !form.querySelector("[data-more]");
    const tell = () => {
      const parts = new Map();
      for (const input of form.querySelectorAll("[data-patient]")) {
        const number = input.name.slice("patient_".length);
        if (form.elements["out_" + number].checked) continue;
        const patient = input.value.trim() || input.dataset.patient, part = form.elements["part_" + number].value;
        if (part || !parts.has(patient)) parts.set(patient, part);
      }
      const count = parts.size, chosen = [...parts.values()];
      let held = chosen.filter((part) => part === "test" || part === "validation").length;
      const free = chosen.filter((part) => !part).length;
      for (const name of ["test", "validation"]) {
        const share = Number(form.elements[name].value);
        if (share > 0 && !chosen.includes(name)) held += Math.max(1, Math.round(free * share / 100));
      }
      held = Math.min(held, Math.max(count - 1, 0));
      const begin = held + " of " + count + " patients are held out of training";
      if (count < least + 2) said.textContent = begin + ". A verdict on usefulness takes " + least + " and 2 to learn from: it will read CANNOT TELL.";
      else if (held < least) said.textContent = begin + ". A verdict on usefulness takes " + least + ": hold out more, or it will read CANNOT TELL.";
      else said.textContent = begin + ": enough for a verdict on usefulness (" + least + " or more with tumour).";
    };
    if (complete) form.addEventListener("input", tell);
  }
})();
