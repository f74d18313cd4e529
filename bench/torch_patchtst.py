#!/usr/bin/python3
"""PatchTST in plain PyTorch, written for timing alone: the networks of `quantum bench patchtst_train`, `patchtst_row` and
`nn_batch100`.

torch_patchtst.py THREADS [train|train_large|row|batch] prints one line per figure: name, value, unit, n. Random weights and
inputs: the time does not depend on them.
"""
import statistics
import sys
import time

import torch
from torch import nn
import torch.nn.functional as F

BLOCKS, BATCH, HUNDRED, CALLS = 7, 128, 100, 500


class Layer(nn.Module):
    """Post-norm; attention adds its scores to the last layer's; BatchNorm over the features of all tokens."""

    def __init__(self, width, heads, hidden, dropout):
        super().__init__()
        self.heads = heads
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.value, self.out = nn.Linear(width, width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.norm1, self.norm2 = nn.BatchNorm1d(width), nn.BatchNorm1d(width)
        self.drop = nn.Dropout(dropout)
        self.scale = (width // heads) ** -0.5

    def split(self, x):
        return x.view(x.shape[0], x.shape[1], self.heads, -1).transpose(1, 2)

    def forward(self, u, before):
        q, k, v = self.split(self.query(u)), self.split(self.key(u)), self.split(self.value(u))
        scores = torch.matmul(q, k.transpose(2, 3)) * self.scale + before
        y = torch.matmul(F.softmax(scores, -1), v).transpose(1, 2).reshape(u.shape)
        u = u + self.drop(self.drop(self.out(y)))
        u = self.norm1(u.transpose(1, 2)).transpose(1, 2)
        u = u + self.drop(self.down(self.drop(F.gelu(self.up(u)))))
        return self.norm2(u.transpose(1, 2)).transpose(1, 2), scores


class PatchTST(nn.Module):
    def __init__(self, length, horizon, width, heads, hidden, dropout, layers=3, patch=16, stride=8):
        super().__init__()
        self.patch, self.stride = patch, stride
        tokens = (length - patch) // stride + 2
        self.embed = nn.Linear(patch, width)
        self.position = nn.Parameter(torch.rand(tokens, width) * 0.04 - 0.02)
        self.drop = nn.Dropout(dropout)
        self.layers = nn.ModuleList(Layer(width, heads, hidden, dropout) for _ in range(layers))
        self.head = nn.Linear(width * tokens, horizon)

    def forward(self, x):
        n, length, channels = x.shape
        mean = x.mean(1, keepdim=True).detach()
        dev = (x.var(1, keepdim=True, unbiased=False) + 1e-5).sqrt().detach()
        x = ((x - mean) / dev).transpose(1, 2)
        x = F.pad(x, (0, self.stride), mode="replicate").unfold(2, self.patch, self.stride)
        u = self.drop(self.embed(x.reshape(n * channels, -1, self.patch)) + self.position)
        scores = torch.zeros(())
        for layer in self.layers:
            u, scores = layer(u, scores)
        y = self.head(u.transpose(1, 2).reshape(n, channels, -1))
        return y.transpose(1, 2) * dev + mean


SMALL, LARGE = (16, 4, 128, 0.3), (128, 16, 256, 0.2)
PAPER, TRADING = (7, 336, 96), (8, 128, 12)


def make(shape, size):
    return PatchTST(shape[1], shape[2], *size)


def train(name, shape, size, steps):
    model = make(shape, size).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    x, target = torch.randn(BATCH, shape[1], shape[0]), torch.randn(BATCH, shape[2], shape[0])
    rates = []
    for block in range(BLOCKS + 1 if steps > 1 else 4):
        start = time.perf_counter()
        for _ in range(steps):
            optimizer.zero_grad()
            F.mse_loss(model(x), target).backward()
            optimizer.step()
        if block:
            rates.append(BATCH * steps / (time.perf_counter() - start))
    print(name, f"{statistics.median(rates):.1f}", "1/s", BATCH * steps * len(rates), flush=True)


def row(name, shape, size):
    model, x = make(shape, size).eval(), torch.randn(1, shape[1], shape[0])
    with torch.no_grad():
        frozen = torch.jit.freeze(torch.jit.trace(model, x))
        for kind, call in (("eager", model), ("script", frozen)):
            times = []
            for i in range(CALLS + 50):
                start = time.perf_counter_ns()
                call(x)
                if i >= 50:
                    times.append(time.perf_counter_ns() - start)
            print(f"{name}.{kind}", statistics.median(times), "ns", CALLS, flush=True)


def batch(name, shape, size, calls):
    model, x = make(shape, size).eval(), torch.randn(HUNDRED, shape[1], shape[0])
    with torch.no_grad():
        frozen = torch.jit.freeze(torch.jit.trace(model, x))
        for kind, call in (("eager", model), ("script", frozen)):
            rates = []
            for block in range(BLOCKS + 1):
                start = time.perf_counter()
                for _ in range(calls):
                    call(x)
                if block:
                    rates.append(HUNDRED * calls / (time.perf_counter() - start))
            print(f"{name}.{kind}", f"{statistics.median(rates):.1f}", "1/s", HUNDRED * calls * BLOCKS, flush=True)


def main():
    threads, what = int(sys.argv[1]), sys.argv[2:] or ["train", "train_large", "row", "batch"]
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    if "train" in what:
        train("patchtst_train", PAPER, SMALL, 2)
        train("patchtst_train.trading", TRADING, SMALL, 2)
    if "train_large" in what:
        train("patchtst_train.large_trading", TRADING, LARGE, 1)
        train("patchtst_train.large", PAPER, LARGE, 1)
    if "row" in what:
        row("patchtst_row", TRADING, SMALL)
        row("patchtst_row.paper", PAPER, SMALL)
    if "batch" in what:
        batch("nn_batch100", TRADING, SMALL, 3)
        batch("nn_batch100.paper", PAPER, SMALL, 1)
        batch("nn_batch100.large", TRADING, LARGE, 1)


main()
