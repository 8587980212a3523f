"""User vectors of any scale, as the runtime passes them on, in the shipped file on the emulated cores."""

import numpy as np
import pytest

from evaluation.arm64.emulator import TargetFile, run_on_target
from evaluation.arm64.profiles import choose
from runtime import metrics
from runtime.bundle import SIGNATURES, Bundle
from runtime.engines import open_model
from runtime.user import bound_norm

SCALES = (1e-45, 1e-38, 1, 8, 1e3, 3e38)


@pytest.mark.parametrize("name", ["a76", "pixel"])
def test_they_give_embeddings_of_length_1_near_the_hosts(toolchain, bundle_dir, tmp_path, name):
    bundle, rows = Bundle.load(bundle_dir), len(SCALES)
    with np.load(bundle.file("golden.npz")) as golden:
        arrays = {tensor: golden[tensor][:rows] for tensor in ("screen_tokens", "text_token")}
        direction = golden["user"][:rows] / np.abs(golden["user"][:rows]).max()
    users = (np.array(SCALES)[:, None] * direction).astype(np.float32)
    arrays["user"] = bound_norm(users, bundle.max_user_norm)
    assert np.isfinite(users).all() and users[0].any()
    np.savez(tmp_path / "inputs.npz", **arrays)
    model = bundle.file("encoder.tflite")
    files = [TargetFile(model, ("fuse",), tuple(range(rows)))]
    target = run_on_target(toolchain, *choose([name]), files, tmp_path / "inputs.npz", tmp_path)
    assert not target.failures
    found = np.load(target.outputs_dir / "fuse.embedding.npy")
    host = open_model(model)
    inputs = [{key: arrays[key][row : row + 1] for key in SIGNATURES["fuse"].inputs} for row in range(rows)]
    expected = np.concatenate([host.run("fuse", row)["embedding"] for row in inputs])
    assert found.shape == expected.shape and np.isfinite(found).all()
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-3)
    assert metrics.cosine(found, expected).min() > 0.999
