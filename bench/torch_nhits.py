#!/usr/bin/python3
"""N-HiTS in plain PyTorch, written for timing alone: the networks of `quantum bench nhits_train` and `nhits_row`.

torch_nhits.py THREADS [train|row] prints one line per figure: name, value, unit, n. Random weights and inputs: the time
does not depend on them.
"""
import statistics
import sys
import time

import torch
from torch import nn
import torch.nn.functional as F

BLOCKS, STEPS, BATCH, CALLS = 7, 6, 256, 2000


class Block(nn.Module):
    def __init__(self, length, channels, horizon, pool, knots, widths, activate_first):
        super().__init__()
        self.length, self.horizon, self.pool = length, horizon, pool
        inputs = -(-length // pool) * channels
        layers = []
        for i, width in enumerate(widths):
            layers.append(nn.Linear(inputs, width))
            if i > 0 or activate_first:
                layers.append(nn.ReLU())
            inputs = width
        layers.append(nn.Linear(inputs, length + knots))
        self.mlp = nn.Sequential(*layers)

    def forward(self, residual, others):
        x = residual.unsqueeze(1) if others is None else torch.cat((residual.unsqueeze(1), others), 1)
        pooled = F.max_pool1d(x, self.pool, self.pool, ceil_mode=True)
        theta = self.mlp(pooled.flatten(1))
        knots = theta[:, self.length:].unsqueeze(1)
        return theta[:, : self.length], F.interpolate(knots, self.horizon, mode="linear").squeeze(1)


class Nhits(nn.Module):
    def __init__(self, length, channels, horizon, pools, knots, widths, activate_first):
        super().__init__()
        self.blocks = nn.ModuleList(
            Block(length, channels, horizon, p, k, widths, activate_first) for p, k in zip(pools, knots))

    def forward(self, x, others=None):
        residual, y = x.flip(1), x[:, -1:]
        for block in self.blocks:
            backcast, forecast = block(residual, others)
            residual = residual - backcast
            y = y + forecast
        return y


def paper():
    return Nhits(480, 1, 96, (8, 4, 1), (4, 8, 96), (512, 512), True), 480, 0, 96


def trading():
    return Nhits(128, 8, 12, (8, 4, 1), (3, 6, 12), (128, 128), False), 128, 7, 12


def inputs(n, length, others):
    x = torch.randn(n, length)
    return (x, torch.randn(n, others, length)) if others else (x,)


def train(name, make):
    model, length, others, horizon = make()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    batch, target = inputs(BATCH, length, others), torch.randn(BATCH, horizon)
    rates = []
    for block in range(BLOCKS + 1):
        start = time.perf_counter()
        for _ in range(STEPS):
            optimizer.zero_grad()
            F.mse_loss(model(*batch), target).backward()
            optimizer.step()
        if block:
            rates.append(BATCH * STEPS / (time.perf_counter() - start))
    print(name, f"{statistics.median(rates):.1f}", "1/s", BATCH * STEPS * BLOCKS, flush=True)


def row(name, make):
    model, length, others, _ = make()
    batch = inputs(1, length, others)
    with torch.no_grad():
        frozen = torch.jit.freeze(torch.jit.trace(model.eval(), batch))
        for kind, call in (("eager", model), ("script", frozen)):
            times = []
            for i in range(CALLS + 100):
                start = time.perf_counter_ns()
                call(*batch)
                if i >= 100:
                    times.append(time.perf_counter_ns() - start)
            print(f"{name}.{kind}", statistics.median(times), "ns", CALLS, flush=True)


def main():
    threads, what = int(sys.argv[1]), sys.argv[2:] or ["train", "row"]
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    if "train" in what:
        train("nhits_train", paper)
        train("nhits_train.trading", trading)
    if "row" in what:
        row("nhits_row.paper", paper)
        row("nhits_row", trading)


main()
