"""Each fusion is guided by the mask and keeps a path past it."""

from typing import get_args

import pytest
import torch

from seacanary_models.fusion import CrossAttention, FusionKind, build_fusion, on_grid_of, tokens_of

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("kind", get_args(FusionKind))
def test_a_fusion_gives_tokens_that_depend_on_both_inputs(kind: FusionKind) -> None:
    torch.manual_seed(0)
    fusion = build_fusion(kind, width=16, heads=2)
    spectrogram, mask = torch.rand(2, 16, 16, 16), torch.rand(2, 16, 16, 16)
    fused = fusion(spectrogram, mask)
    assert fused.shape == (2, 256, 16)
    assert (fusion(spectrogram, mask + torch.rand_like(mask)) - fused).abs().max() > 1e-4
    assert (fusion(spectrogram + torch.rand_like(mask), mask) - fused).abs().max() > 1e-2


@pytest.mark.parametrize("kind", get_args(FusionKind))
def test_gradients_reach_the_spectrogram_through_an_empty_mask(kind: FusionKind) -> None:
    fusion = build_fusion(kind, width=16, heads=2)
    spectrogram = torch.rand(1, 16, 16, 16, requires_grad=True)
    (fusion(spectrogram, torch.zeros(1, 16, 16, 16)) ** 2).sum().backward()
    assert spectrogram.grad is not None
    assert (spectrogram.grad.abs().amax(1) > 0).all()


def test_attention_without_an_output_weight_passes_the_spectrogram_through() -> None:
    fusion = CrossAttention(16, 4)
    for layer in (fusion.out, fusion.mlp[-1]):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    spectrogram = torch.rand(2, 16, 16, 16)
    torch.testing.assert_close(fusion(spectrogram, torch.rand(2, 16, 16, 16)), tokens_of(spectrogram))


def test_attention_equals_its_textbook_form() -> None:
    torch.manual_seed(1)
    fusion = CrossAttention(8, 2).eval()
    spectrogram, mask = torch.rand(1, 8, 16, 16), torch.rand(1, 8, 16, 16)
    place = fusion.row + fusion.column
    query = fusion.query(fusion.spectrogram_norm(tokens_of(spectrogram + place)))
    key, value = fusion.key_value(fusion.mask_norm(tokens_of(mask + place))).split(8, -1)
    heads = []
    for head in (slice(0, 4), slice(4, 8)):
        weight = torch.softmax(query[..., head] @ key[..., head].transpose(1, 2) / 4**0.5, -1)
        heads.append(weight @ value[..., head])
    fused = tokens_of(spectrogram) + fusion.out(torch.cat(heads, -1))
    torch.testing.assert_close(fusion(spectrogram, mask), fused + fusion.mlp(fused), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", get_args(FusionKind))
@pytest.mark.parametrize("side", [8, 25])
def test_a_spectrogram_on_another_grid_is_fused_on_its_own(kind: FusionKind, side: int) -> None:
    fusion = build_fusion(kind, width=16, heads=2)
    assert fusion(torch.rand(2, 16, side, side), torch.rand(2, 16, 16, 16)).shape == (2, side**2, 16)


def test_a_coarser_cell_is_the_mean_of_what_it_covers() -> None:
    rows = torch.arange(16.0).reshape(1, 1, 16, 1).expand(-1, -1, -1, 16)
    coarse = on_grid_of(rows, torch.zeros(1, 1, 8, 8))
    torch.testing.assert_close(coarse[0, 0, :, 3], torch.arange(8.0) * 2 + 0.5)


def test_a_finer_cell_takes_only_what_it_touches() -> None:
    rows = torch.arange(16.0).reshape(1, 1, 16, 1).expand(-1, -1, -1, 16)
    fine = on_grid_of(rows, torch.zeros(1, 1, 25, 25))[0, 0, :, 0]
    middle = (torch.arange(25) + 0.5) * 16 / 25 - 0.5
    assert (fine - middle).abs().max() < 0.5


def test_the_gate_only_ever_adds_to_the_spectrogram() -> None:
    spectrogram, mask = torch.rand(2, 16, 16, 16), torch.randn(2, 16, 16, 16)
    ratio = build_fusion("gated", width=16, heads=2)(spectrogram, mask) / tokens_of(spectrogram)
    assert ((ratio > 1) & (ratio < 2)).all()


def test_mask_tokens_keep_their_place_whatever_the_spectrograms_grid() -> None:
    torch.manual_seed(0)
    fusion = CrossAttention(8, 2)
    keys = []
    fusion.mask_norm.register_forward_hook(lambda _module, inputs, _output: keys.append(inputs[0]))
    mask = torch.rand(1, 8, 16, 16)
    for side in (8, 16, 25):
        fusion(torch.rand(1, 8, side, side), mask)
    assert all(torch.equal(key, keys[0]) for key in keys)
