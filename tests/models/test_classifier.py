"""MGC: shapes, what guides what, and calibration."""

import pytest
import torch
from pydantic import ValidationError

from seacanary_models.classifier import ClassifierConfig, MaskGuidedClassifier, mask_probability

pytestmark = pytest.mark.torch

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
