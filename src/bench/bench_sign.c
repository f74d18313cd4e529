/* sign_order: a limit order's parameters to the signed query that is sent, timestamp and signature in
 * it; next to it the HMAC of 250 bytes alone, what the other side does (verify, and parse), and the same
 * order under an Ed25519 key. */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

#include "base/fx.h"
#include "base/tstamp.h"
#include "bench/bench.h"
#include "venue/wire/wire.h"

enum { ROUNDS = 7, PASSES = 100000, PASSES_ED25519 = 2000, REQUEST_SIZE = 512 };

/* The i-th order of a stream of them: numbers differ, as they do. */
static size_t order_sign(char out[REQUEST_SIZE], const struct wire_key *key, int64_t i) {
    struct wire_query q;
    wire_query_init(&q, out, REQUEST_SIZE);
    wire_query_text(&q, "symbol", "BTCUSDT");
    wire_query_text(&q, "side", i % 2 ? "SELL" : "BUY");
    wire_query_text(&q, "type", "LIMIT");
    wire_query_text(&q, "timeInForce", "GTC");
    wire_query_e8(&q, "quantity", (1 + i % 1000) * (FX_ONE / 1000));
    wire_query_e8(&q, "price", (675000 + i % 10000) * (FX_ONE / 10));
    wire_query_text(&q, "newClientOrderId", "qt-000000000012-entry-1");
    wire_query_text(&q, "newOrderRespType", "RESULT");
    wire_query_i64(&q, "recvWindow", 5000);
    wire_query_i64(&q, "timestamp", INT64_C(1772359200000) + i);
    return wire_query_sign(&q, key) == ST_OK ? q.size : 0;
}

static int order_check(const struct wire_key *key, char *request, size_t size) {
    char bytes[REQUEST_SIZE + 2], stripped[REQUEST_SIZE];
    struct wire_params p;
    if (wire_params_parse(&p, bytes, sizeof bytes, request, size, NULL, 0) != ST_OK) return 0;
    const struct wire_param *s = wire_param_find(&p, "signature");
    size_t n = wire_strip_signature(stripped, request, size);
    return s && wire_verify(key, s->value, s->value_size, stripped, n, NULL, 0);
}

enum work { WORK_SIGN, WORK_HMAC, WORK_CHECK };

/* ns of one pass; negative if a pass failed. */
static double passes_run(const struct wire_key *key, enum work work, int passes) {
    char request[REQUEST_SIZE], text[250], signature[WIRE_ED25519_TEXT_SIZE];
    memset(text, 'x', sizeof text);
    size_t size = order_sign(request, key, 1);
    int good = 0;
    int64_t from = tstamp_monotonic_ns();
    for (int i = 0; i < passes; i++) switch (work) {
        case WORK_SIGN:
            good += order_sign(request, key, i) > 0;
            break;
        case WORK_HMAC:
            text[i % 250] = (char)i;
            good += wire_sign(key, signature, text, sizeof text, NULL, 0) > 0;
            break;
        case WORK_CHECK:
            good += order_check(key, request, size);
            break;
        }
    double ns = (double)(tstamp_monotonic_ns() - from) / passes;
    return good == passes ? ns : -1;
}

static enum status figure(const char *name, const struct wire_key *key, enum work work, int passes,
                          struct err *err) {
    double ns[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        ns[round] = passes_run(key, work, passes);
        if (ns[round] < 0) return err_set(err, ST_EXTERNAL, "%s: a signature failed", name);
    }
    bench_emit(
        &(struct bench_figure){name, bench_median(ns, ROUNDS), "ns", (uint64_t)passes, "", 0});
    return ST_OK;
}

static enum status ed25519_key(struct wire_key **out, struct err *err) {
    static const unsigned char secret[32] = {1};
    char pem[1024];
    int size = 0;
    EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, secret, sizeof secret);
    BIO *bio = BIO_new(BIO_s_mem());
    if (pkey && bio && PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL) == 1)
        size = BIO_read(bio, pem, sizeof pem);
    BIO_free(bio);
    EVP_PKEY_free(pkey);
    return size > 0 ? wire_key_ed25519(out, pem, (size_t)size, err)
                    : err_set(err, ST_EXTERNAL, "sign_order: no Ed25519 key");
}

enum status bench_sign_order(struct err *err) {
    static const char secret[] = "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9";
    struct wire_key *hmac = NULL, *ed25519 = NULL;
    enum status st = wire_key_hmac(&hmac, secret, sizeof secret - 1, err);
    if (st == ST_OK) st = ed25519_key(&ed25519, err);
    if (st == ST_OK) st = figure("sign_order", hmac, WORK_SIGN, PASSES, err);
    if (st == ST_OK) st = figure("sign_order.hmac_250", hmac, WORK_HMAC, PASSES, err);
    if (st == ST_OK) st = figure("sign_order.check", hmac, WORK_CHECK, PASSES, err);
    if (st == ST_OK) st = figure("sign_order.ed25519", ed25519, WORK_SIGN, PASSES_ED25519, err);
    if (st == ST_OK)
        st = figure("sign_order.ed25519_check", ed25519, WORK_CHECK, PASSES_ED25519, err);
    wire_key_free(hmac);
    wire_key_free(ed25519);
    return st;
}
