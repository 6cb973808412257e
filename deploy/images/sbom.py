"""Writes what is in each image as a CycloneDX document, from the image's own environment: `make sbom`.

    python deploy/images/sbom.py FOLDER IMAGE…

Python packages with versions and licences; what the base image brings, its publisher lists. The images are only looked
into, not run.
"""

import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

SITE = "/app/venv/lib/python3.11/site-packages/."


def docker(*arguments: str) -> str:
    """What a docker command prints; ends this process where that fails."""
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def take_environment(image: str, folder: Path) -> Path:
    """Make an environment in `folder` with the packages of `image`; answers its interpreter."""
    venv.create(folder, with_pip=False)
    container = docker("create", image)
    try:
        docker("cp", f"{container}:{SITE}", str(next(folder.glob("lib/python*/site-packages"))))
    finally:
        docker("rm", container)
    return folder / "bin" / "python"


def write(image: str, out: Path) -> int:
    """Write the document of `image` to `out`; answers how many components it lists."""
    with tempfile.TemporaryDirectory() as scratch:
        python = take_environment(image, Path(scratch) / "environment")
        tool = Path(sys.executable).with_name("cyclonedx-py")
        command = [str(tool), "environment", "--output-reproducible", "-o", str(out), str(python)]
        subprocess.run(command, check=True)
    document = json.loads(out.read_bytes())
    labels = json.loads(docker("image", "inspect", "-f", "{{json .Config.Labels}}", image))
    document["metadata"]["component"] = {
        "type": "container",
        "name": labels["org.opencontainers.image.title"],
        "version": labels["org.opencontainers.image.version"],
    }
    out.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")
    return len(document["components"])


def main() -> None:
    """Write one document an image."""
    if len(sys.argv) < 3:
        sys.exit("usage: sbom.py FOLDER IMAGE…")
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for image in sys.argv[2:]:
        out = folder / f"{image.rpartition('/')[2].partition(':')[0]}.cdx.json"
        print(f"{out}: {write(image, out)} components", flush=True)


if __name__ == "__main__":
    main()
