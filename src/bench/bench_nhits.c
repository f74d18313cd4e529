/* nhits_train, nhits_row: N-HiTS at the sizes of bench/torch_nhits.py, which times the same
 * networks in PyTorch. Paper size: 480 -> 96, 3 stacks of a block, two layers of 512, pools 8 4 1,
 * knots 4 8 96, batch 256. Trading size: 8 channels (the target and 7 pooled ones beside it) of 128
 * bars -> 12, two layers of 128, pools 8 4 1, knots 3 6 12. A window of training counts forward,
 * loss, backward and Adam. */
#include "bench/bench.h"
#include "bench/bench_network.h"
#include "ml/nhits/nhits.h"

enum { STEPS = 6, BATCH = 256, CALLS = 4000, CHANNELS = 7, HIDDEN = 128 };

static struct nhits_config trading_size(void) {
    static const uint32_t pools[3] = {8, 4, 1}, ratios[3] = {4, 2, 1};
    struct nhits_config c = {.input_size = 128,
                             .h = 12,
                             .outputs = 1,
                             .stack_count = 3,
                             .mlp_count = 1,
                             .mlp_units = {{HIDDEN, HIDDEN}},
                             .interpolation = NN_LINEAR,
                             .activation = NN_RELU,
                             .hist_exog = CHANNELS};
    for (int i = 0; i < 3; i++)
        c.stacks[i] = (struct nhits_stack){.blocks = 1, .pool = pools[i], .downsample = ratios[i]};
    return c;
}

static enum status create(struct network **out, const void *config, size_t batch_max, bool training,
                          struct workers *workers, struct err *err) {
    return nhits_create(out, config, batch_max, training, 1, workers, err);
}

static struct bench_network network_of(const struct nhits_config *c) {
    return (struct bench_network){create, c, c->hist_exog};
}

enum status bench_nhits_train(const struct bench_parameters *p, struct err *err) {
    struct nhits_config paper = nhits_config_paper(), trading = trading_size();
    const struct bench_network large = network_of(&paper), small = network_of(&trading);
    enum status st = bench_network_train("nhits_train", &large, BATCH, STEPS, p->threads, err);
    if (st != ST_OK) return st;
    return bench_network_train("nhits_train.trading", &small, BATCH, STEPS, p->threads, err);
}

enum status bench_nhits_row(const struct bench_parameters *p, struct err *err) {
    if (p->threads > 1) return err_set(err, ST_INVALID, "--threads: a window is one thread's work");
    struct nhits_config paper = nhits_config_paper(), trading = trading_size();
    const struct bench_network large = network_of(&paper), small = network_of(&trading);
    enum status st = bench_network_row("nhits_row", &small, CALLS, err);
    return st == ST_OK ? bench_network_row("nhits_row.paper", &large, CALLS, err) : st;
}
