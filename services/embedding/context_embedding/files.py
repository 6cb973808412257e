"""The model's files: where they lie, and the manifest that says what they are and what their hashes must be.

Standard library only: the export writes with it before anything is installed.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

NAME = "all-MiniLM-L6-v2"
MANIFEST = "manifest.json"
TOKENIZER = "tokenizer.json"
ONNX = {"fp32": "model.onnx", "int8": "model.int8.onnx"}
PLAIN = (
    "model.int8-plain.onnx"  # the int8 model for processors without instructions for it: other kernels, same vectors
)
EVERY = (*ONNX.values(), PLAIN, TOKENIZER)


class ModelMissing(Exception):
    """There is no usable model where one is looked for."""


@dataclass(frozen=True)
class Manifest:
    """What the files of one model directory are.

    Attributes:
        name: The weights' name.
        source: What they were exported from.
        recipe: The version of the export that made the files.
        dimension: Numbers in a vector.
        max_tokens: The window, special tokens included.
        pooling: mean or cls.
        normalization: l2.
        sha256: File name to hash.
    """

    name: str
    source: str
    recipe: int
    dimension: int
    max_tokens: int
    pooling: str
    normalization: str
    sha256: dict[str, str]

    def model_id(self, quantization: str) -> str:
        """Names weights, quantisation, pooling and normalisation; vectors of two ids never compare."""
        weights = self.sha256[ONNX[quantization]][:8]
        return f"{self.name}/{quantization}-{weights}/{self.pooling}/{self.normalization}"


def default_directory(environ: Mapping[str, str]) -> Path:
    """Where the model lies when MODEL_DIR does not say."""
    cache = environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(environ.get("MODEL_DIR") or Path(cache) / "context-engine" / "models" / NAME)


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Put `manifest` beside its files."""
    (directory / MANIFEST).write_text(json.dumps(asdict(manifest), indent=2) + "\n")


def read_manifest(directory: Path, *, check: tuple[str, ...]) -> Manifest:
    """The manifest of `directory`, once the files named in `check` have the hashes it gives.

    Raises:
        ModelMissing: There is no manifest, it is not one, or a file is missing or not the one that was written.
    """
    try:
        manifest = Manifest(**json.loads((directory / MANIFEST).read_bytes()))
        wrong = [name for name in check if digest(directory / name) != manifest.sha256[name]]
    except FileNotFoundError as error:
        raise ModelMissing(f"{error.filename} does not exist: run `make model`, or set MODEL_DIR") from None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelMissing(f"{directory / MANIFEST} cannot be used ({error!r}): run `make model`") from error
    if wrong:
        raise ModelMissing(f"{', '.join(wrong)} in {directory} has another hash than its manifest: run `make model`")
    return manifest


def digest(path: Path) -> str:
    """The file's sha256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
