"""What PyTorch takes for the work of `cargo bench --bench td3` (heads/tiny, heads/full): features of 128 next observations,
then features of 128 observations and the gradient of their sum, 16 at a time, on two threads.

    python3 heads_in_pytorch.py            # prints updates a second; run it in turns with RAYON_NUM_THREADS=2 cargo bench --bench td3

The modules are plain ones with random weights, wired as the heads of the original are.
"""

import sys
import time

import torch
from torch import nn
from torch.nn import functional

TOGETHER, ROWS, SEQ, SIDE, FRAMES = 16, 48, 565, 224, 2


class Fusion(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv1 = nn.Conv1d(width, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, padding=1)
        self.resample = nn.Conv1d(width, width, 1, bias=False)

    def forward(self, x, skip):
        kept = x
        if skip is not None:
            x = x + self.resample(skip)
        return functional.relu(self.conv2(functional.relu(self.conv1(x))) + kept)


class History(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.cnn = nn.Sequential(
            nn.Conv2d(3, 32, 7, stride=4, padding=3), nn.ReLU(),
            nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(64, 128, 3, stride=2, padding=1), nn.ReLU(),
            nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(2048, width),
        )
        self.position = nn.Parameter(torch.zeros(1, FRAMES, width))
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, dropout=0.0, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2)

    def forward(self, frames):  # [batch, frames, 3, side, side]
        batch = frames.shape[0]
        features = self.cnn(frames.flatten(0, 1)).view(batch, FRAMES, -1)
        return self.layers(features + self.position)[:, -1]


class Heads(nn.Module):
    def __init__(self, hidden, width):
        super().__init__()
        self.projections = nn.ModuleList(
            nn.Sequential(nn.Linear(hidden, width), nn.LayerNorm(width)) for _ in range(4)
        )
        self.fusion = nn.ModuleList(Fusion(width) for _ in range(3))
        self.attention = nn.Sequential(nn.Linear(width, width // 4), nn.ReLU(), nn.Linear(width // 4, 1))
        self.history = History(width)
        self.join = nn.Sequential(nn.Linear(2 * width, width), nn.LayerNorm(width), nn.GELU())

    def forward(self, states, frames):  # four of [batch, seq, hidden]
        first, second, third, x = (
            layer(state).transpose(1, 2) for layer, state in zip(self.projections, states)
        )
        for block, skip in zip(reversed(self.fusion), (third, second, first)):
            x = block(x, skip)
        x = x.transpose(1, 2)
        weights = self.attention(x).softmax(1)
        return self.join(torch.cat([(weights * x).sum(1), self.history(frames)], 1))


def bench(name, hidden, width):
    heads = Heads(hidden, width)
    states = [torch.randn(TOGETHER, SEQ, hidden) for _ in range(4)]
    frames = torch.randn(TOGETHER, FRAMES, 3, SIDE, SIDE)

    def forward():
        with torch.no_grad():
            heads(states, frames)

    def gradient():
        heads(states, frames).sum().backward()

    seconds = []
    for work in (forward, gradient):
        work()
        start = time.perf_counter()
        for _ in range(ROWS // TOGETHER):
            work()
        seconds.append((time.perf_counter() - start) / ROWS)
    total = 128 * sum(seconds)
    print(
        f"heads/{name} in torch {torch.__version__}: {seconds[0] * 1e3:.2f} ms a feature, {seconds[1] * 1e3:.2f} ms a feature "
        f"and its gradient; batch 128: {1 / total:.3f} updates a second ({total:.2f} s)"
    )


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
    bench("tiny", 64, 32)
    bench("full", 2048, 256)
