/* patchtst_train, patchtst_row, nn_batch100: PatchTST at the sizes of bench/torch_patchtst.py, which times the same networks in
 * PyTorch. Small: the scripts' ETTh network (d 16, 4 heads, 128; dropout 0.3); large: 128, 16 heads, 256; dropout 0.2. Windows of
 * 7 channels 336 -> 96 (paper), or of 8 channels 128 -> 12 (trading). A window of training counts forward, loss, backward
 * and Adam on batches of 128. */
#include "bench/bench.h"
#include "bench/bench_network.h"
#include "ml/patchtst/patchtst.h"

enum { BATCH = 128, HUNDRED = 100, CALLS = 2000 };

static struct patchtst_config trading(struct patchtst_config c) {
    c.c_in = 8;
    c.seq_len = 128;
    c.pred_len = 12;
    return c;
}

static enum status create(struct network **out, const void *config, size_t batch_max, bool training,
                          struct workers *workers, struct err *err) {
    return patchtst_create(out, config, batch_max, training, 1, workers, err);
}

static enum status train_figure(const char *name, const struct patchtst_config *c, uint32_t steps,
                                uint32_t threads, struct err *err) {
    const struct bench_network b = {create, c, 0};
    return bench_network_train(name, &b, BATCH, steps, threads, err);
}

static enum status row_figure(const char *name, const struct patchtst_config *c, struct err *err) {
    const struct bench_network b = {create, c, 0};
    return bench_network_row(name, &b, CALLS, err);
}

static enum status batch_figure(const char *name, const struct patchtst_config *c, uint32_t calls,
                                uint32_t threads, struct err *err) {
    const struct bench_network b = {create, c, 0};
    return bench_network_batch(name, &b, HUNDRED, calls, threads, err);
}

enum status bench_patchtst_train(const struct bench_parameters *p, struct err *err) {
    struct patchtst_config small = patchtst_config_defaults(), large = patchtst_config_large();
    struct patchtst_config small_trading = trading(small), large_trading = trading(large);
    enum status st = train_figure("patchtst_train", &small, 4, p->threads, err);
    if (st == ST_OK)
        st = train_figure("patchtst_train.trading", &small_trading, 8, p->threads, err);
    if (st == ST_OK)
        st = train_figure("patchtst_train.large_trading", &large_trading, 1, p->threads, err);
    return st == ST_OK ? train_figure("patchtst_train.large", &large, 1, p->threads, err) : st;
}

enum status bench_patchtst_row(const struct bench_parameters *p, struct err *err) {
    if (p->threads > 1) return err_set(err, ST_INVALID, "--threads: a window is one thread's work");
    struct patchtst_config paper = patchtst_config_defaults(), small = trading(paper);
    enum status st = row_figure("patchtst_row", &small, err);
    return st == ST_OK ? row_figure("patchtst_row.paper", &paper, err) : st;
}

enum status bench_nn_batch100(const struct bench_parameters *p, struct err *err) {
    struct patchtst_config paper = patchtst_config_defaults(), small = trading(paper),
                           large = trading(patchtst_config_large());
    enum status st = batch_figure("nn_batch100", &small, 8, p->threads, err);
    if (st == ST_OK) st = batch_figure("nn_batch100.paper", &paper, 3, p->threads, err);
    return st == ST_OK ? batch_figure("nn_batch100.large", &large, 1, p->threads, err) : st;
}
