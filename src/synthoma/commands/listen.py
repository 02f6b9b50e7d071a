"""``synthoma listen``: a DICOM node that looks at what it is sent."""

from __future__ import annotations

from pathlib import Path

from synthoma.commands.options import FolderOfNode, Given, Model, takes
from synthoma.commands.printing import say
from synthoma.detection.settings import DetectConfig
from synthoma.hospital.settings import ListenConfig

EXAMPLES = (
    "synthoma listen -o inbox",
    "synthoma listen -o inbox --host 0.0.0.0 --allow PACS,MR1 --send-to PACS@10.0.0.5:104",
    "synthoma listen -o inbox --send-to dicomweb+https://pacs.example/dicom-web --model run",
    "synthoma listen -o inbox --tls-cert node.pem --tls-key node.key --tls-ca hospital-ca.pem",
)


@takes(
    ListenConfig,
    *("aet", "host", "port", "allow", "send_to", "quiet_s", "longest_s", "keep_images", "free_gib"),
    *("tls_cert", "tls_key", "tls_ca"),
)
@takes(DetectConfig, "threshold", "probabilities", "device", into="looking")
def run(given: Given, looking: Given, output: FolderOfNode = Path("inbox"), model: Model = None) -> None:
    """Run the command."""
    from synthoma.hospital.inbox import Study
    from synthoma.hospital.listen import Listener

    options = ListenConfig.resolve(flags=given)
    DetectConfig.resolve(flags=looking)  # what is wrong with it is said now, not with the first study
    words = [f"--model={model.absolute()}"] if model is not None else []
    for name, value in looking.items():
        words.append(f"--{name}" if value is True else f"--no-{name}" if value is False else f"--{name}={value}")
    listener = Listener(output, options, words)

    def ready(port: int) -> None:
        say(f"listening: {options.aet} at {options.host}:{port}\nstudies: {output}\nend it with Ctrl-C")

    def told(study: Study) -> None:
        say(f"study {study.name}: {study.state} {study.why}".rstrip())

    listener.run(ready, told)
