"""The loss of face-recognition networks."""

import math

import torch

from pspkit.losses.arcface import ArcFace


def test_arcface_adds_the_margin_to_the_right_angle():
    torch.manual_seed(0)
    loss = ArcFace(3, 2, margin=0.5, scale=10)
    angles = torch.tensor([0.0, 1.0, 2.0])  # of the people; somebody at 0.3 is person 1
    loss.weight.data = torch.stack([angles.cos(), angles.sin()], 1) * 7  # lengths do not matter
    embedding = torch.tensor([[math.cos(0.3), math.sin(0.3)]])
    scores = torch.tensor([math.cos(0.3), math.cos(0.7 + 0.5), math.cos(1.7)]) * 10
    expected = -scores.log_softmax(0)[1]
    torch.testing.assert_close(loss(embedding, torch.tensor([1])), expected)


def test_arcface_never_rewards_an_angle_beyond_a_half_turn():
    loss = ArcFace(2, 2, margin=0.5, scale=1)
    loss.weight.data = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    opposite, almost = torch.tensor([[-1.0, 0.0]]), torch.tensor([[math.cos(2.9), math.sin(2.9)]])
    assert loss(opposite, torch.tensor([0])) >= loss(almost, torch.tensor([0])) - 0.2
    assert loss(opposite, torch.tensor([0])).isfinite()
