from pathlib import Path

import numpy as np
import onnx
import pytest

from fakes import EPOCH, tiny_contract, write_tiny_model
from seacanary import onnx_sessions
from seacanary.audio import Window
from seacanary.detection import Detector, DetectorSection, require_runtime
from seacanary.errors import ModelRefused, ProviderRefused


def window(level: float, *, hydrophone: str = "h1", rate: int = 8000) -> Window:
    pcm = np.full(tiny_contract().window_samples, level, np.float32)
    return Window(hydrophone, pcm, EPOCH, EPOCH, 0, pcm.size * rate // 8000, rate)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_tiny_model(tmp_path / "model")


@pytest.mark.parametrize("sessions", [1, 2, 3])
def test_each_window_gets_its_own_answer_in_order_whatever_the_batch(model: Path, sessions: int) -> None:
    detector = Detector.load(DetectorSection(path=model, sessions=sessions, keep_masks=True))
    levels = [0.0, 0.9, 0.25, 0.6, 0.1]
    together = detector.detect([window(level) for level in levels])
    assert [d.probability["whistle"] for d in together] == pytest.approx(levels)
    alone = [detector.detect([window(level)])[0] for level in levels]
    assert [d.probability for d in alone] == [d.probability for d in together]
    assert [d.spans for d in alone] == [d.spans for d in together]
    detector.close()


@pytest.mark.parametrize("sessions", [1, 2])
def test_a_look_shows_the_image_and_the_answers_that_detect_goes_by(model: Path, sessions: int) -> None:
    detector = Detector.load(DetectorSection(path=model, sessions=sessions, keep_masks=True))
    windows = [window(level) for level in (0.0, 0.9, 0.25)]
    image, mask_probability, probability = detector.look(np.stack([w.pcm for w in windows]))
    assert image.shape == mask_probability.shape == (3, 4, 16)
    np.testing.assert_allclose(image[:, 0, 0], [0.0, 0.9, 0.25], rtol=1e-6)  # this T shows the level
    for found, mask, answer in zip(detector.detect(windows), mask_probability, probability, strict=True):
        assert list(found.probability.values()) == pytest.approx(answer.tolist())
        np.testing.assert_array_equal(found.mask, mask >= detector.contract.mask_threshold)
    detector.close()


def test_a_rate_that_cannot_carry_a_call_type_leaves_it_unobserved(model: Path) -> None:
    detector = Detector.load(DetectorSection(path=model))
    (found,) = detector.detect([window(0.9, rate=4000)])
    assert found.unobserved == {"porpoise_click"}
    assert set(found.probability) == {"whistle"}
    assert all(span.call_type == "whistle" for span in found.spans)


@pytest.mark.parametrize("name", ["transform.onnx", "model.onnx"])
def test_a_missing_file_is_named(model: Path, name: str) -> None:
    (model / name).unlink()
    with pytest.raises(ModelRefused, match=rf"{name}: no such model file"):
        Detector.load(DetectorSection(path=model))


def test_a_damaged_file_is_refused(model: Path) -> None:
    (model / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(ModelRefused, match=r"model.onnx: ONNX Runtime cannot load it"):
        Detector.load(DetectorSection(path=model))


def test_a_model_without_contract_is_refused(model: Path) -> None:
    bare = onnx.load(model / "model.onnx")
    del bare.metadata_props[:]
    onnx.save(bare, model / "model.onnx")
    with pytest.raises(ModelRefused, match=r"no 'seacanary.contract' in the ONNX metadata"):
        Detector.load(DetectorSection(path=model))


def test_a_wrong_contract_names_each_field(model: Path) -> None:
    damaged = onnx.load(model / "transform.onnx")
    text = tiny_contract().model_dump_json().replace('"hop_samples":512', '"hop_samples":-5,"sigma":3')
    onnx.helper.set_model_props(damaged, {"seacanary.contract": text})
    onnx.save(damaged, model / "transform.onnx")
    with pytest.raises(ModelRefused, match=r"hop_samples: .*greater than 0.*sigma: Extra inputs"):
        Detector.load(DetectorSection(path=model))


def test_graphs_of_different_contracts_are_refused(model: Path, tmp_path: Path) -> None:
    other = write_tiny_model(tmp_path / "other", tiny_contract(model_id="tiny-2"))
    (model / "model.onnx").write_bytes((other / "model.onnx").read_bytes())
    with pytest.raises(ModelRefused, match=r"tiny-1.*tiny-2.*different contracts"):
        Detector.load(DetectorSection(path=model))


def test_a_graph_whose_shape_is_not_the_contracts_is_refused(tmp_path: Path) -> None:
    contract = tiny_contract()
    folder = write_tiny_model(tmp_path, contract.model_copy(update={"call_types": contract.call_types[:1]}))
    longer = write_tiny_model(tmp_path / "two", contract)
    wrong = onnx.load(longer / "model.onnx")
    onnx.helper.set_model_props(
        wrong, contract.model_copy(update={"call_types": contract.call_types[:1]}).to_metadata()
    )
    onnx.save(wrong, folder / "model.onnx")
    with pytest.raises(
        ModelRefused, match=r"outputs .*'probability': \[2\].* the contract says .*'probability': \[1\]"
    ):
        Detector.load(DetectorSection(path=folder))


def test_cuda_alone_is_refused_where_there_is_none_and_cpu_may_stand_in(model: Path) -> None:
    with pytest.raises(ProviderRefused, match=r"model.providers asks for \['cuda'\]"):
        Detector.load(DetectorSection(path=model, providers=("cuda",)))
    assert Detector.load(DetectorSection(path=model, providers=("cuda", "cpu"))).provider == "CPUExecutionProvider"


@pytest.mark.parametrize(
    ("installed", "message"),
    [(set(), r"pip install 'seacanary\[cpu\]'"), ({"onnxruntime", "onnxruntime-gpu"}, "both installed")],
)
def test_neither_or_both_runtimes_say_what_to_do(
    monkeypatch: pytest.MonkeyPatch, installed: set[str], message: str
) -> None:
    # The environment of a test cannot really hold both packages, so what is installed is patched.
    monkeypatch.setattr(onnx_sessions, "_installed", lambda name: name in installed)
    with pytest.raises(ModelRefused, match=message):
        require_runtime()


def test_a_probability_inside_the_band_is_abstained_on_and_still_told(tmp_path: Path) -> None:
    contract = tiny_contract()
    banded = tuple(
        c.model_copy(update={"abstain_low": 0.25, "abstain_high": high})
        for c, high in zip(contract.call_types, (0.4, 0.6), strict=True)
    )
    folder = write_tiny_model(tmp_path / "banded", tiny_contract(call_types=banded))
    detector = Detector.load(DetectorSection(path=folder))
    found = detector.detect([window(level) for level in (0.1, 0.3, 0.5, 0.9)])
    assert [d.abstained for d in found] == [set(), {"whistle", "porpoise_click"}, {"porpoise_click"}, set()]
    assert all(set(d.probability) == {"whistle", "porpoise_click"} for d in found)
    (slow,) = detector.detect([window(0.5, rate=4000)])
    assert not slow.abstained
    assert slow.unobserved == {"porpoise_click"}
    detector.close()


def test_a_model_without_a_band_never_abstains(model: Path) -> None:
    detector = Detector.load(DetectorSection(path=model))
    assert all(not d.abstained for d in detector.detect([window(level) for level in (0.1, 0.35, 0.5, 0.9)]))
    detector.close()
