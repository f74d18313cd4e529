/* Tapes: written, read back, cut short, damaged; and no secret in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/tstamp.h"
#include "venue/binance/tape.h"

struct seen {
    uint32_t frames, replies;
    enum stream_kind kind;
    int32_t code;
    int http;
    int64_t ts_ns;
    char name[256], bytes[512];
};

static void on_frame(void *context, int64_t ts_ns, const char *name, enum status st,
                     const struct stream_event *event, const char *bytes, size_t size) {
    struct seen *s = context;
    s->frames++;
    s->kind = st == ST_OK ? event->kind : STREAM_OTHER;
    s->ts_ns = ts_ns;
    snprintf(s->name, sizeof s->name, "%s", name);
    snprintf(s->bytes, sizeof s->bytes, "%.*s", (int)size, bytes);
}
static void on_reply(void *context, int64_t ts_ns, const char *name, int http, enum status st,
                     int32_t code, const char *bytes, size_t size) {
    struct seen *s = context;
    (void)st;
    s->replies++;
    s->code = code;
    s->http = http;
    s->ts_ns = ts_ns;
    snprintf(s->name, sizeof s->name, "%s", name);
    snprintf(s->bytes, sizeof s->bytes, "%.*s", (int)size, bytes);
}

static const char key[] = "a-key-of-some-length", listen[] = "pqia91ma19a5s61cv6a81va65sdf19v8a";

static void record(const char *path) {
    struct binance_tape *t;
    struct err err = {0};
    char body[256];
    (void)unlink(path);
    assert_int_equal(binance_tape_create(&t, path, &err), ST_OK);
    binance_tape_secret(t, key);
    snprintf(body, sizeof body, "{\"listenKey\":\"%s\"}", listen);
    binance_tape_write(t, TAPE_REPLY, 5, 200, "POST /fapi/v1/listenKey", body, strlen(body));
    binance_tape_secret(t, listen);
    snprintf(body, sizeof body, "{\"e\":\"listenKeyExpired\",\"E\":1,\"k\":\"%s\"}", listen);
    binance_tape_write(t, TAPE_FRAME, 6, 0, "/private/ws", body, strlen(body));
    snprintf(body, sizeof body, "{\"code\":-2019,\"msg\":\"%s\"}", key);
    binance_tape_write(t, TAPE_REPLY, 7, 400, "POST /fapi/v1/order?symbol=X", body, strlen(body));
    binance_tape_write(t, TAPE_REPLY, 8, -1, "GET /fapi/v1/time", "", 0);
    assert_int_equal(binance_tape_close(t, &err), ST_OK);
    assert_int_equal(binance_tape_create(&t, path, &err), ST_EXISTS);
}

static void test_tape(void **state) {
    char path[] = "/tmp/test_tape.XXXXXX";
    struct seen s = {0};
    struct err err = {0};
    struct binance_tape_totals totals;
    const struct binance_tape_handlers handlers = {&s, on_frame, on_reply};
    (void)state;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    record(path);
    assert_int_equal(binance_tape_replay(path, &handlers, &totals, &err), ST_OK);
    assert_int_equal(totals.frames, 1);
    assert_int_equal(totals.replies, 3);
    assert_int_equal(totals.replies_refused, 0);
    assert_int_equal(s.kind, STREAM_KEY_EXPIRED);
    assert_int_equal(s.http, -1);
    assert_int_equal(s.ts_ns, 8);
    assert_string_equal(s.name, "GET /fapi/v1/time");
    /* The bytes of the file hold neither. */
    static char all[4096];
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t size = fread(all, 1, sizeof all, f);
    fclose(f);
    assert_null(memmem(all, size, key, strlen(key)));
    assert_null(memmem(all, size, listen, strlen(listen)));
    /* Cut anywhere: what was whole is read. Changed anywhere: never another story. */
    for (size_t cut = 8; cut < size; cut++) {
        f = fopen(path, "wb");
        assert_non_null(f);
        assert_int_equal(fwrite(all, 1, cut, f), cut);
        fclose(f);
        assert_int_equal(binance_tape_replay(path, &handlers, &totals, &err), ST_OK);
        assert_true(totals.frames + totals.replies < 4);
    }
    uint32_t corrupt = 0;
    for (size_t at = 0; at < size; at++) {
        all[at] = (char)(all[at] ^ 0x41);
        f = fopen(path, "wb");
        assert_non_null(f);
        assert_int_equal(fwrite(all, 1, size, f), size);
        fclose(f);
        corrupt += binance_tape_replay(path, &handlers, &totals, &err) == ST_CORRUPT;
        all[at] = (char)(all[at] ^ 0x41);
    }
    assert_true(corrupt > size / 2);
    (void)unlink(path);
    assert_int_equal(binance_tape_replay(path, &handlers, &totals, &err), ST_NOT_FOUND);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tape)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
