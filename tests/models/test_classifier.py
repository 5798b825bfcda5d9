"""MGC: shapes, what guides what, and calibration."""

import json
from typing import get_args

import pytest
import torch
from pydantic import ValidationError

from seacanary_models import pretrained
from seacanary_models.classifier import ClassifierConfig, MaskGuidedClassifier, mask_probability
from seacanary_models.encoder_kinds import SmallEncoder
from seacanary_models.fusion import FusionKind
from seacanary_models.heads import marginal_probabilities
from seacanary_models.pretrained import WeightsUnavailable

pytestmark = pytest.mark.torch

# As the first shipped models' checkpoints hold it.
OLD_CONFIG = """{"preset":"compact","call_types":3,"fusion":"cross_attention","mask_threshold":0.5,"sigma_px":4.0}"""

TINY = ClassifierConfig(preset="tiny")


@pytest.mark.parametrize("preset", ["compact", "tiny"])
def test_the_output_has_a_mask_and_one_logit_per_call_type(preset: str) -> None:
    output = MaskGuidedClassifier(ClassifierConfig.model_validate({"preset": preset}))(torch.rand(2, 1, 256, 256))
    assert output.mask_logits.shape == (2, 2, 256, 256)
    assert output.call_logits.shape == (2, 3)


def test_a_given_mask_guides_the_classifier() -> None:
    torch.manual_seed(0)
    model = MaskGuidedClassifier(TINY).eval()
    image = torch.rand(1, 1, 256, 256)
    empty, half = torch.zeros(1, 256, 256), torch.zeros(1, 256, 256)
    half[:, :, :128] = 1.0
    assert (model.classify(image, empty) - model.classify(image, half)).abs().max() > 1e-3


def test_forward_is_segment_then_classify() -> None:
    model = MaskGuidedClassifier(TINY).eval()
    image = torch.rand(2, 1, 256, 256)
    output = model(image)
    torch.testing.assert_close(model.segmenter(image), output.mask_logits)
    torch.testing.assert_close(model.classify(image, mask_probability(output.mask_logits)), output.call_logits)


def test_the_calls_do_not_train_the_segmenter_nor_the_mask_the_encoders() -> None:
    model = MaskGuidedClassifier(TINY)
    output = model(torch.rand(2, 1, 256, 256))
    output.call_logits.sum().backward(retain_graph=True)
    assert all(parameter.grad is None for parameter in model.segmenter.parameters())
    assert all(parameter.grad is not None for parameter in model.mask_encoder.parameters())
    model.zero_grad()
    output.mask_logits.sum().backward()
    assert all(parameter.grad is None for parameter in model.mask_encoder.parameters())


def test_mask_probability_is_the_softmax_of_class_one() -> None:
    logits = torch.randn(2, 2, 8, 8)
    torch.testing.assert_close(mask_probability(logits), torch.softmax(logits, 1)[:, 1])


def test_temperatures_calibrate_and_are_saved_with_the_weights() -> None:
    model = MaskGuidedClassifier(TINY)
    model.set_temperatures([1.0, 2.0, 4.0])
    logits = torch.tensor([[2.0, 2.0, 2.0]])
    torch.testing.assert_close(model.probabilities(logits), torch.sigmoid(torch.tensor([[2.0, 1.0, 0.5]])))
    other = MaskGuidedClassifier(TINY)
    other.load_state_dict(model.state_dict())
    assert other.temperatures.tolist() == [1.0, 2.0, 4.0]


@pytest.mark.parametrize("wrong", [[1.0, 1.0], [1.0, 0.0, 1.0]])
def test_wrong_temperatures_are_refused(wrong: list[float]) -> None:
    with pytest.raises(ValueError, match="3 positive numbers"):
        MaskGuidedClassifier(TINY).set_temperatures(wrong)


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(ValidationError):
        ClassifierConfig.model_validate({"preset": "huge"})


def _config(**fields: object) -> ClassifierConfig:
    return ClassifierConfig.model_validate({"preset": "small", "segmenter": "given", **fields})


def test_the_configuration_of_the_first_models_builds_what_it_did() -> None:
    config = ClassifierConfig.model_validate_json(OLD_CONFIG)
    assert config == ClassifierConfig()
    state = MaskGuidedClassifier(config).state_dict()
    assert len(state) == 152
    assert sum(value.numel() for value in state.values() if value.is_floating_point()) == 580_574
    assert {name.partition(".")[0] for name in state} == {
        "temperatures", "segmenter", "spectrogram_encoder", "mask_encoder", "fusion", "head"
    }  # fmt: skip
    assert {"segmenter.stem.0.row", "spectrogram_encoder.layers.0.row", "fusion.key_value.weight"} < state.keys()


@pytest.mark.parametrize("fusion", get_args(FusionKind))
@pytest.mark.parametrize("encoder", ["compact", *get_args(SmallEncoder)])
def test_every_small_encoder_goes_with_every_fusion(encoder: str, fusion: FusionKind) -> None:
    torch.manual_seed(0)
    model = MaskGuidedClassifier(_config(encoder=encoder, fusion=fusion))
    logits = model.classify(torch.rand(2, 1, 256, 256), (torch.rand(2, 256, 256) > 0.9).float())
    assert logits.shape == (2, 3)
    logits.square().sum().backward()
    assert [name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()] == []


@pytest.mark.parametrize("fusion", get_args(FusionKind))
def test_a_full_size_encoder_keeps_its_grid_in_every_fusion(fusion: FusionKind) -> None:
    model = MaskGuidedClassifier(_config(preset="full", encoder="resnet50", fusion=fusion)).eval()
    with torch.no_grad():
        assert model.classify(torch.rand(1, 1, 256, 256), torch.ones(1, 256, 256)).shape == (1, 3)


def test_an_image_only_model_has_no_mask_branch_and_no_opinion_on_masks() -> None:
    model = MaskGuidedClassifier(ClassifierConfig(preset="tiny", guide="none")).eval()
    assert {name.partition(".")[0] for name in model.state_dict()} == {"temperatures", "spectrogram_encoder", "head"}
    image = torch.rand(2, 1, 256, 256)
    output = model(image)
    assert output.mask_logits.shape == (2, 2, 256, 256)
    assert not output.mask_logits.any()
    torch.testing.assert_close(output.call_logits, model.classify(image, torch.ones(2, 256, 256)))


def test_a_model_without_a_segmenter_asks_for_a_mask() -> None:
    model = MaskGuidedClassifier(_config())
    with pytest.raises(ValueError, match=r"call classify\(image, probability\)"):
        model(torch.rand(1, 1, 256, 256))


def test_a_hard_mask_is_not_faded() -> None:
    mask = torch.zeros(1, 256, 256)
    mask[:, 100, 50:90] = 0.9
    seen: dict[str, torch.Tensor] = {}
    for form in ("soft", "hard"):
        model = MaskGuidedClassifier(_config(mask_form=form))
        assert model.mask_encoder is not None
        model.mask_encoder.register_forward_pre_hook(lambda _, inputs, form=form: seen.update({form: inputs[0]}))
        model.classify(torch.rand(1, 1, 256, 256), mask)
    torch.testing.assert_close(seen["hard"][:, 0], (mask > 0.5).float())
    assert ((seen["soft"] > 0.01) & (seen["soft"] < 0.99)).any()


def test_a_joint_head_gives_calibrated_marginals() -> None:
    model = MaskGuidedClassifier(_config(head="joint"))
    logits = model.classify(torch.rand(2, 1, 256, 256), torch.zeros(2, 256, 256))
    assert logits.shape == (2, 8)
    torch.testing.assert_close(model.probabilities(logits), marginal_probabilities(logits))
    model.set_temperatures([2.0, 2.0, 2.0])
    odds = torch.logit(marginal_probabilities(logits))
    torch.testing.assert_close(torch.logit(model.probabilities(logits)), odds / 2, atol=1e-4, rtol=1e-4)


def test_deeplab_segments_and_learns_from_masks_alone() -> None:
    model = MaskGuidedClassifier(ClassifierConfig(preset="tiny", segmenter="deeplabv3_mobilenet_v3"))
    output = model(torch.rand(2, 1, 256, 256))
    assert output.mask_logits.shape == (2, 2, 256, 256)
    output.call_logits.sum().backward()
    assert model.segmenter is not None
    assert all(weight.grad is None for weight in model.segmenter.parameters())


@pytest.mark.parametrize("encoder", ["compact", "small_vit", "deit_b_16", "ast"])
def test_weights_that_nobody_publishes_are_refused_at_once(encoder: str) -> None:
    with pytest.raises(ValidationError, match="has ImageNet weights to fetch"):
        _config(encoder=encoder, pretrained=True)


def test_published_weights_are_named_but_only_loaded_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(weights: object) -> None:
        raise WeightsUnavailable(f"cannot fetch {weights}")

    monkeypatch.setattr(pretrained, "fetch", unreachable)
    model = MaskGuidedClassifier(
        ClassifierConfig(preset="full", encoder="resnet50", segmenter="deeplabv3_mobilenet_v3", pretrained=True)
    )
    assert model.published_weights == {
        "segmenter": "torchvision MobileNet_V3_Large_Weights.IMAGENET1K_V1",
        "spectrogram_encoder": "torchvision ResNet50_Weights.IMAGENET1K_V2",
    }
    with pytest.raises(WeightsUnavailable):
        model.load_published_weights()


def test_a_model_from_scratch_names_and_loads_nothing() -> None:
    model = MaskGuidedClassifier(_config(guide="none", encoder="resnet50"))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_published_weights()
    assert model.published_weights == {}
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_configuration_survives_its_json() -> None:
    config = _config(encoder="small_ast", head="joint", mask_form="hard", fusion="gated")
    assert ClassifierConfig.model_validate(json.loads(config.model_dump_json())) == config
