#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <string.h>

#include "forecast/config.h"

static struct forecast_config set(enum forecast_kind kind, const char *text) {
    struct forecast_config c = forecast_config_defaults(kind);
    struct err err = {0};
    if (forecast_config_set(&c, text, &err) != ST_OK) fail_msg("'%s': %s", text, err.text);
    return c;
}

static void refused(enum forecast_kind kind, const char *text, enum status st,
                    const char *expected) {
    struct forecast_config c = forecast_config_defaults(kind), before;
    memcpy(&before, &c, sizeof c);
    struct err err = {0};
    assert_int_equal(forecast_config_set(&c, text, &err), st);
    if (!strstr(err.text, expected)) fail_msg("'%s': '%s', not '%s'", text, err.text, expected);
    assert_memory_equal(&before, &c, sizeof c);
}

/* All text written is read again as the same, and differs from the defaults'. */
static void round_trip(const struct forecast_config *c) {
    char text[FORECAST_CONFIG_TEXT_SIZE], again[FORECAST_CONFIG_TEXT_SIZE],
        plain[FORECAST_CONFIG_TEXT_SIZE];
    assert_int_equal(forecast_config_text(text, c), ST_OK);
    struct forecast_config back = set(c->kind, text);
    assert_int_equal(forecast_config_text(again, &back), ST_OK);
    assert_string_equal(again, text);
    struct forecast_config defaults = forecast_config_defaults(c->kind);
    assert_int_equal(forecast_config_text(plain, &defaults), ST_OK);
    assert_string_not_equal(plain, text);
}

static void test_patchtst(void **state) {
    (void)state;
    struct forecast_config c =
        set(FORECAST_PATCHTST,
            "patch_len=8,stride=4,padding_patch=None,d_model=32,n_heads=2,e_layers=1,d_ff=64,"
            "norm=LayerNorm,pre_norm=1,revin=0,affine=true,subtract_last=1,decomposition=1,"
            "kernel_size=13,individual=1,res_attention=false,activation=relu,pe=sincos,learn_pe=0,"
            "dropout=0.25,head_dropout=.1");
    const struct patchtst_config *p = &c.patchtst;
    assert_true(p->patch_len == 8 && p->stride == 4 && !p->padding_patch && p->d_model == 32);
    assert_true(p->n_heads == 2 && p->e_layers == 1 && p->d_ff == 64);
    assert_true(p->norm == PATCHTST_LAYER_NORM && p->pre_norm && !p->revin && p->affine);
    assert_true(p->subtract_last && p->decomposition && p->kernel_size == 13 && p->individual);
    assert_true(!p->res_attention && p->activation == PATCHTST_RELU);
    assert_true(p->pe == PATCHTST_PE_SINCOS && !p->learn_pe);
    assert_true(p->dropout == 0.25 && p->head_dropout == 0.1);
    round_trip(&c);
}

static void test_nhits(void **state) {
    (void)state;
    struct forecast_config c = set(
        FORECAST_NHITS,
        "n_pool_kernel_size=16:8,n_freq_downsample=60:8,n_blocks=2:1,n_theta_hidden=64x32:16,"
        "pooling_mode=AvgPool1d,interpolation_mode=cubic,activation=SELU,dropout_prob_theta=0.5,"
        "batch_normalization=1,shared_weights=1,scaler_type=standard");
    const struct nhits_config *n = &c.nhits;
    assert_int_equal(n->impl, NHITS_PAPER);
    assert_int_equal(n->stack_count, 2);
    assert_true(n->stacks[0].pool == 16 && n->stacks[1].pool == 8 && n->stacks[0].blocks == 2);
    assert_true(n->stacks[0].downsample == 60 && n->stacks[1].downsample == 8);
    assert_true(n->stacks[0].layers == 2 && n->stacks[0].hidden[1] == 32);
    assert_true(n->stacks[1].layers == 1 && n->stacks[1].hidden[0] == 16);
    assert_true(n->pooling == NHITS_AVERAGE_POOLING && n->interpolation == NN_CUBIC);
    assert_true(n->activation == NN_SELU && n->dropout == 0.5);
    assert_true(n->batch_normalization && n->shared_weights);
    assert_int_equal(c.scaler, FORECAST_SCALER_STANDARD);
    round_trip(&c);

    c = set(FORECAST_NHITS, "impl=neuralforecast");
    assert_true(c.nhits.mlp_count == 3 && c.nhits.mlp_units[2][1] == 512);
    round_trip(&c);
    c = set(FORECAST_NHITS, "impl=neuralforecast,mlp_units=8x16:16x32,n_blocks=1:1:1:1");
    assert_true(c.nhits.mlp_count == 2 && c.nhits.mlp_units[1][0] == 16);
    assert_true(c.nhits.stack_count == 4 && c.nhits.stacks[3].pool == c.nhits.stacks[2].pool);
    round_trip(&c);
}

static void test_dlinear(void **state) {
    (void)state;
    struct forecast_config c = set(FORECAST_DLINEAR, "kernel_size=5,individual=1");
    assert_true(c.dlinear.kernel_size == 5 && c.dlinear.individual);
    round_trip(&c);
}

static void test_refused(void **state) {
    (void)state;
    refused(FORECAST_PATCHTST, "d_modl=16", ST_NOT_FOUND,
            "patchtst has no option 'd_modl'; it has patch_len stride");
    refused(FORECAST_NHITS, "d_model=16", ST_NOT_FOUND, "n_freq_downsample");
    refused(FORECAST_PATCHTST, "seq_len=96", ST_INVALID, "'seq_len' follows from --input");
    refused(FORECAST_PATCHTST, "stride=4,d_model", ST_INVALID, "'d_model' is not NAME=VALUE");
    refused(FORECAST_PATCHTST, "stride=4,,", ST_INVALID, "'' is not NAME=VALUE");
    refused(FORECAST_PATCHTST, "d_model=16x", ST_INVALID, "d_model: '16x' is not a number");
    refused(FORECAST_PATCHTST, "d_model=-1", ST_INVALID, "d_model: '-1' is not a number");
    refused(FORECAST_PATCHTST, "d_model=5000000000", ST_INVALID, "is not a number");
    refused(FORECAST_PATCHTST, "dropout=nan", ST_INVALID, "dropout: 'nan' is not a number");
    refused(FORECAST_PATCHTST, "revin=2", ST_INVALID, "revin: '2' is not 0 or 1");
    refused(FORECAST_PATCHTST, "norm=Batch", ST_INVALID,
            "norm: 'Batch' is none of BatchNorm, LayerNorm");
    refused(FORECAST_NHITS, "n_blocks=1:1,n_pool_kernel_size=1:1:1", ST_INVALID,
            "n_pool_kernel_size has 3 stacks, n_blocks has 2");
    refused(FORECAST_NHITS, "n_blocks=1:1:", ST_INVALID, "n_blocks: '1:1:' is no list as 8:4:1");
    refused(FORECAST_NHITS, "n_blocks=1x1", ST_INVALID, "is no list");
    refused(FORECAST_NHITS, "n_blocks=0", ST_INVALID, "is no list");
    refused(FORECAST_NHITS, "mlp_units=512", ST_INVALID, "is no list as 512x512:512x512");
    refused(FORECAST_NHITS, "n_blocks=1:1:1:1:1:1:1:1:1:1:1:1:1:1:1:1:1", ST_INVALID, "is no list");
}

/* The networks really are of that shape. */
static void test_create(void **state) {
    (void)state;
    static const char *const params[] = {"d_model=8,n_heads=2,d_ff=8,patch_len=4,stride=2",
                                         "n_theta_hidden=8:8:8", "kernel_size=3"};
    for (int kind = 0; kind < FORECAST_KINDS; kind++) {
        struct forecast_config c = set((enum forecast_kind)kind, params[kind]);
        struct network *net;
        struct err err = {0};
        forecast_config_shape(&c, 16, 24, 3);
        if (forecast_config_create(&net, &c, 2, false, 1, NULL, &err) != ST_OK)
            fail_msg("%s: %s", forecast_kind_names[kind], err.text);
        assert_string_equal(net->class_of->name, forecast_kind_names[kind]);
        assert_int_equal(net->input, 16);
        assert_int_equal(net->horizon, 24);
        assert_int_equal(net->channels, forecast_config_by_channel(&c) ? 1 : 3);
        net->class_of->destroy(net);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_patchtst),
                                       cmocka_unit_test(test_nhits), cmocka_unit_test(test_dlinear),
                                       cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_create)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
