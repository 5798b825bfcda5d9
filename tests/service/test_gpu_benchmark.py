"""benchmarks.gpu does on the CPU what it is to do on a GPU, and says so where there is none."""

import json
import shutil
from pathlib import Path

import onnxruntime as ort
import pytest
from benchmarks import gpu

from fakes import tiny_contract, write_tiny_model

SMALL = ["--provider", "cpu", "--batches", "1", "3", "--least-s", "0"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model with an fp16 folder; here the same graphs lie in both."""
    write_tiny_model(tmp_path / "model")
    shutil.copytree(tmp_path / "model", tmp_path / "model" / "fp16")
    return tmp_path / "model"


def test_every_graph_is_timed_at_every_batch(folder: Path, tmp_path: Path) -> None:
    gpu.main([*SMALL, "--model", str(folder), "--out", str(tmp_path / "out.json")])
    written = json.loads((tmp_path / "out.json").read_text())
    measured = {(row["graph"], row["precision"], row["batch"]) for row in written["rows"]}
    forms = {("T", "fp32")} | {(graph, p) for graph in ("M", "T + M, host to host") for p in ("fp32", "fp16")}
    assert measured == {(*form, batch) for form in forms for batch in (1, 3)}
    for row in written["rows"]:
        assert row["runs"] >= 10
        assert 0 < row["median_ms"] <= row["p95_ms"] * 1.001
        assert row["windows_per_s"] == pytest.approx(1e3 * row["batch"] / row["median_ms"], rel=0.2)
        assert row["hydrophones"] == int(row["windows_per_s"] * 0.064)  # the tiny model's hop
    assert written["model_id"] == tiny_contract().model_id
    assert written["provider"] == "CPUExecutionProvider"


def test_the_same_provider_and_graph_agree_with_themselves(folder: Path) -> None:
    found = gpu.against_cpu(folder, "cpu")
    assert set(found) == {"T fp32", "T + M fp32", "T + M fp16"}
    assert found["T + M fp16"] == {"probability": 0, "mask_probability": 0, "mask_agreement": 1}


def test_nodes_are_counted_by_the_provider_that_ran_them(folder: Path) -> None:
    placed = gpu.placement(folder / "transform.onnx", "cpu")
    assert set(placed) == {"CPUExecutionProvider"}
    assert placed["CPUExecutionProvider"] >= 3


def test_tf32_is_measured_on_gpus_only_and_fp16_where_it_is(folder: Path) -> None:
    assert [form.name for form in gpu.precisions(folder, "cuda")] == ["fp32", "tf32", "fp16"]
    shutil.rmtree(folder / "fp16")
    assert [form.name for form in gpu.precisions(folder, "cpu")] == ["fp32"]


def test_without_the_gpu_package_it_says_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(SystemExit) as stopped:
        gpu.main(["--model", str(folder)])
    assert stopped.value.code == 2
    assert "install onnxruntime-gpu" in capsys.readouterr().err


def test_a_silent_fall_back_to_the_cpu_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = ort.InferenceSession
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])
    monkeypatch.setattr(
        ort, "InferenceSession", lambda path, options, providers: real(path, options, ["CPUExecutionProvider"])
    )
    with pytest.raises(gpu.NoGpu, match="asked for CUDAExecutionProvider, ONNX Runtime took"):
        gpu.open_session(folder / "model.onnx", "cuda", tf32=False)


def test_t_never_rounds_to_tf32(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def stop(path: Path, options: ort.SessionOptions, providers: list[tuple[str, dict[str, str]]]) -> None:
        asked.append((path.name, providers))
        raise gpu.NoGpu

    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(ort, "InferenceSession", stop)
    with pytest.raises(gpu.NoGpu):
        gpu.measured(folder, "cuda", batches=[1], least_s=0)
    assert asked == [("transform.onnx", [("CUDAExecutionProvider", {"use_tf32": "0"})])]


def test_figures_of_a_cpu_are_not_kept_as_those_of_a_gpu(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "RESULTS", tmp_path / "gpu.json")
    gpu.main(["--provider", "cpu", "--batches", "1", "--least-s", "0", "--model", str(folder)])
    assert not (tmp_path / "gpu.json").exists()
