"""What `make docs` does beyond MkDocs.

Notebooks become pages, links that leave docs/ lead to the repository, and what the theme would fetch is taken away.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from posixpath import dirname, normpath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

REPOSITORY = "https://github.com/synthoma/synthoma/blob/main/"
LINK = re.compile(r"\]\(([^)#\s:]+)(#[^)]*)?\)")
SHIM = "https://unpkg.com/iframe-worker/shim"
"""What the theme fetches so that its search works without a server; ``WORKER`` is in its place."""
FETCHED = re.compile(r"https://unpkg\.com/[\w@./-]+")
"""Diagrams (no page has one) and help for browsers of before 2020, in the theme's script."""
COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


WORKER = """
// From the disk a browser starts no worker: the script runs in a hidden frame and is told the same messages.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.frame = document.body.appendChild(document.createElement("iframe"));
      this.frame.hidden = true;
      const inside = this.frame.contentDocument;
      this.ready = new Promise(done => this.frame.addEventListener("ready", done));
      inside.open();
      inside.write(`<script>
        self.postMessage = data => parent.postMessage(data, "*");
        self.importScripts = (...urls) => Promise.all(urls.map(url => new Promise(done => {
          const script = document.createElement("script");
          script.src = url; script.onload = done; document.body.appendChild(script);
        })));
      <\\/script><body><script src="${url}"><\\/script>
        <script>frameElement.dispatchEvent(new Event("ready"))<\\/script>`);
      inside.close();
      this.heard = event => {
        if (event.source !== this.frame.contentWindow) return;
        this.dispatchEvent(new MessageEvent("message", { data: event.data }));
        if (this.onmessage) this.onmessage(event);
      };
      window.addEventListener("message", this.heard);
    }
    postMessage(data) {
      this.ready.then(() => this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data })));
    }
    terminate() { window.removeEventListener("message", this.heard); this.frame.remove(); }
  };
}
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Put a page in the place of each notebook."""
    for file in [one for one in files if one.src_uri.endswith(".ipynb")]:
        files.remove(file)
        page = File.generated(config, file.src_uri.replace(".ipynb", ".md"), content=as_page(file.content_string))
        files.append(page)
    return files


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Name the pages of notebooks in the navigation, where mkdocs.yml names the notebooks."""
    config.nav = json.loads(json.dumps(config.nav).replace('.ipynb"', '.md"'))
    return config


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links to notebooks to their pages, and links to files outside docs/, or to folders, to the repository."""
    here = dirname(page.file.src_uri)

    def led(found: re.Match[str]) -> str:
        target, anchor = found[1], found[2] or ""
        place = normpath(f"docs/{here}/{target}")
        if target.endswith(".ipynb"):
            return f"]({target.removesuffix('.ipynb')}.md{anchor})"
        if place.startswith("docs/") and files.get_file_from_path(place.removeprefix("docs/")):
            return found[0]
        return f"]({REPOSITORY}{place}{anchor})"

    return LINK.sub(led, markdown)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Take the script for the search from here."""
    up = "../" * page.file.dest_uri.count("/")
    return output.replace(SHIM, f"{up}assets/worker.js")


def on_post_build(config: MkDocsConfig) -> None:
    """Write that script, and leave nothing in the others that could be fetched."""
    assets = Path(config.site_dir) / "assets"
    (assets / "worker.js").write_text(WORKER.lstrip(), encoding="utf-8")
    missing = Path(config.site_dir) / "404.html"
    missing.write_text(missing.read_text(encoding="utf-8").replace(SHIM, "assets/worker.js"), encoding="utf-8")
    for script in (assets / "javascripts").glob("*.js"):
        script.write_text(FETCHED.sub("", script.read_text(encoding="utf-8")), encoding="utf-8")


def as_page(notebook: str) -> str:
    """A notebook (its JSON) as Markdown: its words, its code, and what the code showed."""
    return "\n\n".join(part for cell in json.loads(notebook)["cells"] for part in _parts(cell)) + "\n"


def _parts(cell: dict[str, Any]) -> Iterator[str]:
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        yield source
        return
    yield f"```python\n{source}\n```"
    for output in cell["outputs"]:
        shown = output.get("data", {})
        if "image/png" in shown:
            data = "".join(shown["image/png"]).replace("\n", "")
            yield f'<img alt="what the code above shows" src="data:image/png;base64,{data}">'
        elif "text/html" in shown:
            html = "\n".join(line for line in "".join(shown["text/html"]).splitlines() if line.strip())
            yield f'<div class="output">\n{html}\n</div>'
        else:
            text = "".join(output.get("text", shown.get("text/plain", "")))
            yield f"<pre><code>{escape(COLOURS.sub('', text).rstrip())}</code></pre>"
