"""Writes an LSTM as the plain operators of its steps.

Neither converter keeps `torch.nn.LSTM` whole, and the engines' own LSTM operators are out of reach of XNNPACK
and of the quantization recipe. Here the products of all inputs are one linear layer, and a step is one linear
layer without bias and a few operators on rows; all steps share its weights, in INT8 too. `text` of
`ultralight`, 64 steps, takes 2.27 million instructions on the A76.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from encoder.model import Encoder
from encoder.modules.text import CustomLstm, last_real


class Step(nn.Module):
    """What the last state adds to the gates: a linear layer that every step shares."""

    def __init__(self, weight: Tensor):
        super().__init__()
        self.recurrent = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
        self.recurrent.weight = nn.Parameter(weight)

    def forward(self, inputs: Tensor, state: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Maps gates from the input, [B, 4 H], and state and cell, [B, H], to the next state and cell."""
        return _advance(inputs + self.recurrent(state), cell)


class UnrolledLstm(nn.Module):
    """Text tower that equals `CustomLstm`, from the same weights."""

    def __init__(self, text: CustomLstm):
        super().__init__()
        lstm = text.lstm
        self.words, self.projection = text.words, text.projection
        self.gates = nn.Linear(lstm.input_size, 4 * lstm.hidden_size)
        self.gates.weight = nn.Parameter(_reordered(lstm.weight_ih_l0))
        self.gates.bias = nn.Parameter(_reordered(lstm.bias_ih_l0 + lstm.bias_hh_l0))
        self.step = Step(_reordered(lstm.weight_hh_l0))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Maps int32 [B, L] twice to float32 [B, 1, dim]."""
        inputs = self.gates(self.words(input_ids)).unbind(dim=1)  # L times [B, 4 H]
        state, cell = _advance(inputs[0], None)
        states = [state]
        for gates in inputs[1:]:
            state, cell = self.step(gates, state, cell)
            states.append(state)
        return self.projection(last_real(attention_mask) @ torch.stack(states, dim=1))


def _advance(gates: Tensor, cell: Tensor | None) -> tuple[Tensor, Tensor]:
    """One step from the sums of all gates; no cell is a cell of zeros."""
    squashed, new = gates.split([gates.shape[-1] // 4 * 3, gates.shape[-1] // 4], dim=-1)
    keep, write, show = squashed.sigmoid().chunk(3, dim=-1)
    written = write * new.tanh()
    cell = written if cell is None else keep * cell + written
    return show * cell.tanh(), cell


def _reordered(gates: Tensor) -> Tensor:
    """PyTorch's order of gates (input, forget, new, output) with the new values last."""
    write, keep, new, show = gates.detach().chunk(4)
    return torch.cat([keep, write, show, new])


def unroll_lstm(encoder: Encoder) -> None:
    """Replaces, in place, an LSTM text tower."""
    if isinstance(encoder.text, CustomLstm):
        encoder.text = UnrolledLstm(encoder.text)
