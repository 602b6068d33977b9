"""The BiLSTM: from a prompt's tokens to its metric curves, all at once."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence


@dataclass(frozen=True)
class NetworkSize:
    """Sizes are ours: the paper's were not at hand."""

    vocabulary: int
    embedding: int
    hidden: int = 128
    dropout: float = 0.4


class CurveNetwork(nn.Module):
    """Predict M metric curves at K step counts.

    What is predicted of a curve is its final value, and how far each earlier point is from it, all
    standardised: a plateau is read from those distances, which are small beside the differences
    between prompts.

    The token embeddings are those of the diffusion model's text encoder and stay as they are, so
    that words the training prompts lack keep a meaning.
    """

    def __init__(self, size: NetworkSize, *, num_metrics: int, num_steps: int) -> None:
        super().__init__()
        self.shape = (num_metrics, num_steps)
        self.embedding = nn.Embedding(size.vocabulary, size.embedding)
        self.embedding.weight.requires_grad_(False)
        self.dropout = nn.Dropout(size.dropout)
        self.lstm = nn.LSTM(size.embedding, size.hidden, batch_first=True, bidirectional=True)
        self.head = nn.Sequential(
            nn.Linear(4 * size.hidden, size.hidden), nn.SiLU(), nn.Dropout(size.dropout),
            nn.Linear(size.hidden, num_metrics * num_steps),
        )
        self.register_buffer("mean", torch.zeros(self.shape))
        self.register_buffer("deviation", torch.ones(self.shape))

    mean: Tensor
    deviation: Tensor

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Map token ids (B, T) with true lengths (B,) to standardised targets (B, M, K)."""
        embedded = self.dropout(self.embedding(tokens))  # (B, T, E)
        packed = pack_padded_sequence(
            embedded, lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        states, (hidden, _) = self.lstm(packed)  # hidden: (2, B, H)
        padded, _ = nn.utils.rnn.pad_packed_sequence(states, batch_first=True)  # (B, T, 2H)
        average = padded.sum(1) / lengths[:, None].to(padded)  # (B, 2H); padding is zero
        ends = torch.cat([hidden[0], hidden[1]], dim=-1)  # (B, 2H)
        return self.head(torch.cat([average, ends], dim=-1)).view(-1, *self.shape)

    def curves(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Curves in the metrics' own units, (B, M, K)."""
        targets = self(tokens, lengths) * self.deviation + self.mean
        final = targets[..., -1:]  # (B, M, 1)
        return torch.cat([targets[..., :-1] + final, final], dim=-1)


def curve_targets(curves: Tensor) -> Tensor:
    """Each point's distance from the final value, and last the final value itself: (B, M, K)."""
    final = curves[..., -1:]
    return torch.cat([curves[..., :-1] - final, final], dim=-1)


def pad_tokens(ids: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Stack token ids of different lengths: (B, T) padded with 0, and true lengths (B,)."""
    lengths = torch.tensor([len(row) for row in ids])
    tokens = torch.zeros(len(ids), int(lengths.max()), dtype=torch.long)
    for index, row in enumerate(ids):
        tokens[index, : len(row)] = torch.tensor(row)
    return tokens, lengths
