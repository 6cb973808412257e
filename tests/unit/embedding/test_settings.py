"""Settings of the embedding service, and the model's files they point to."""

import json
from pathlib import Path

import pytest

from context_common.settings import SettingsError
from context_embedding import files
from context_embedding.settings import Settings

MANIFEST = files.Manifest("tiny", "here", 1, 2, 8, "mean", "l2", {})


def test_nothing_need_be_set() -> None:
    settings = Settings.from_env({"HOME": "/home/ada"})
    assert settings.external is None
    assert settings.quantization == "int8"
    assert settings.model_dir == files.default_directory({})


def test_the_model_lies_in_the_users_cache_unless_said() -> None:
    assert files.default_directory({"XDG_CACHE_HOME": "/c"}) == Path("/c/context-engine/models/all-MiniLM-L6-v2")
    assert files.default_directory({"XDG_CACHE_HOME": "/c", "MODEL_DIR": "/m"}) == Path("/m")


def test_everything_wrong_is_named_at_once() -> None:
    environ = {
        "QUANTIZATION": "int4",
        "EMBEDDING_THREADS": "many",
        "LISTEN": "here",
        "EMBEDDING_BATCH_TOKENS": "0",
        "EMBEDDING_SERVICE_URL": "nonsense",
        "REDIS_URL": "redis://:hunter2/hunter2@cache:6379/0",
    }
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(environ)
    assert all(name in str(caught.value) for name in environ)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["there/v1", "http:///v1", "https://there:port", "http://u:hunter2/x@there", "ftp://there"]
)
def test_an_external_service_that_cannot_be_asked_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="EMBEDDING_SERVICE_URL must be http://") as caught:
        Settings.from_env({"EMBEDDING_SERVICE_URL": url})
    assert "hunter2" not in str(caught.value)


def test_an_external_service_is_used_when_its_url_is_set(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret\n")
    environ = {"EMBEDDING_SERVICE_URL": "http://there/v1", "EMBEDDING_API_KEY_FILE": str(tmp_path / "key")}
    external = Settings.from_env(environ).external
    assert external
    assert (external.url, external.key) == ("http://there/v1", "secret")


def put_model(directory: Path) -> files.Manifest:
    (directory / "model.onnx").write_bytes(b"weights")
    manifest = files.Manifest(**{**MANIFEST.__dict__, "sha256": {"model.onnx": files.digest(directory / "model.onnx")}})
    files.write_manifest(directory, manifest)
    return manifest


def test_a_manifest_comes_back_when_the_hashes_are_right(tmp_path: Path) -> None:
    manifest = put_model(tmp_path)
    assert files.read_manifest(tmp_path, check=("model.onnx",)) == manifest
    assert manifest.model_id("fp32") == f"tiny/fp32-{manifest.sha256['model.onnx'][:8]}/mean/l2"


def test_a_model_that_is_missing_or_changed_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(files.ModelMissing, match="make model"):
        files.read_manifest(tmp_path / "nowhere", check=())
    put_model(tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"other weights")
    with pytest.raises(files.ModelMissing, match=r"model\.onnx.*another hash.*make model"):
        files.read_manifest(tmp_path, check=("model.onnx",))
    (tmp_path / "model.onnx").unlink()
    with pytest.raises(files.ModelMissing, match="make model"):
        files.read_manifest(tmp_path, check=("model.onnx",))


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"name": "tiny"}', json.dumps({"more": 1})])
def test_a_manifest_that_is_none_is_a_missing_model(tmp_path: Path, content: str) -> None:
    (tmp_path / files.MANIFEST).write_text(content)
    with pytest.raises(files.ModelMissing, match="make model"):
        files.read_manifest(tmp_path, check=())
