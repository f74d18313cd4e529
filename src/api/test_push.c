/* GET /ws/signals with a client of our own: what comes, to whom, and how a reader that does not read ends. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "api/test_http.h"

/* ---- a listener ---- */

static int upgrade(uint16_t port, const char *path, const char *headers, int receive_size,
                   int *code) {
    char request[512];
    int fd = dial_with(port, receive_size);
    snprintf(request, sizeof request,
             "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
             path, headers);
    put_text(fd, request);
    struct reply r = take(fd, false);
    *code = r.code;
    if (r.code == 101)
        assert_non_null(strstr(r.head, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    reply_free(&r);
    return fd;
}

static int listen_with(uint16_t port, const char *path, int receive_size) {
    int code, fd = upgrade(port, path, "", receive_size, &code);
    assert_int_equal(code, 101);
    return fd;
}

static bool get_bytes(int fd, void *out, size_t size) {
    for (size_t got = 0; got < size;) {
        ssize_t n = recv(fd, (char *)out + got, size - got, 0);
        if (n <= 0) return false;
        got += (size_t)n;
    }
    return true;
}

/* One whole text message of a server, NUL-ended; NULL: the connection ended. */
static char *message(int fd) {
    uint8_t head[2], more[8];
    if (!get_bytes(fd, head, 2)) return NULL;
    assert_int_equal(head[0], 0x81);
    size_t size = head[1];
    int count = size == 126 ? 2 : size == 127 ? 8 : 0;
    if (!get_bytes(fd, more, (size_t)count)) return NULL;
    if (count) size = 0;
    for (int i = 0; i < count; i++) size = size << 8 | more[i];
    char *text = malloc(size + 1);
    assert_non_null(text);
    if (!get_bytes(fd, text, size)) {
        free(text);
        return NULL;
    }
    text[size] = '\0';
    return text;
}

static void expect_signal(int fd, const char *symbol, const char *action, int64_t ts_ns) {
    char *text = message(fd);
    assert_non_null(text);
    json_t *s = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    if (!s) fail_msg("not JSON: %s", text);
    assert_string_equal(text_at(s, "symbol"), symbol);
    assert_string_equal(text_at(s, "action"), action);
    assert_true(json_integer_value(at(s, "timestamp")) == ts_ns / NS_PER_MS);
    assert_non_null(at(s, "provenance"));
    json_decref(s);
    free(text);
}

/* A close: every symbol that has a signal has a new one. */
static void publish_close(struct world *w, int hours) {
    struct view *v = view_begin(w->box);
    fixture_fill(v, tstamp_wall_ns());
    fixture_engine(v);
    for (uint32_t i = 0; i < 2; i++) {
        v->symbols[i].signal_ts_ns += hours * NS_PER_HOUR;
        v->symbols[i].signal_expires_ns += hours * NS_PER_HOUR;
        v->symbols[i].signal_id += (uint64_t)hours;
    }
    v->market_ts_ns += hours * NS_PER_HOUR;
    view_publish(w->box);
}

static int push_setup(void **state) {
    struct world *w = malloc(sizeof *w);
    assert_non_null(w);
    world_open(w, NULL);
    publish_close(w, 0);
    *state = w;
    return 0;
}

/* ---- what comes ---- */

static void each_new_signal_is_pushed_once(void **state) {
    struct world *w = *state;
    int entries = listen_with(w->port, "/ws/signals", 0);
    int all = listen_with(w->port, "/ws/signals?all=1", 0);
    for (int hour = 1; hour <= 3; hour++) {
        int64_t ts = FIXTURE_MARKET_NS + hour * NS_PER_HOUR;
        publish_close(w, hour);
        expect_signal(entries, "BTCUSDT", "BUY", ts);
        expect_signal(all, "BTCUSDT", "BUY", ts);
        expect_signal(all, "ETHUSDT", "HOLD",
                      ts);      /* what was there before is not sent: the first is new */
        publish_close(w, hour); /* the same signals again */
    }
    int late = listen_with(w->port, "/ws/signals?all=true", 0);
    publish_close(w, 4);
    expect_signal(late, "BTCUSDT", "BUY", FIXTURE_MARKET_NS + 4 * NS_PER_HOUR);
    expect_signal(entries, "BTCUSDT", "BUY", FIXTURE_MARKET_NS + 4 * NS_PER_HOUR);
    close(entries);
    close(all);
    close(late);
    /* They have gone; the next listener starts anew. */
    publish_close(w, 5);
    int next = listen_with(w->port, "/ws/signals?all=1", 0);
    publish_close(w, 6);
    expect_signal(next, "BTCUSDT", "BUY", FIXTURE_MARKET_NS + 6 * NS_PER_HOUR);
    close(next);
}

/* A signal whose time is over when it is seen is HOLD, as everywhere. */
static void an_expired_signal_is_hold(void **state) {
    struct world *w = *state;
    int all = listen_with(w->port, "/ws/signals?all=1", 0);
    struct view *v = view_begin(w->box);
    fixture_fill(v, tstamp_wall_ns());
    fixture_engine(v);
    v->symbols[0].signal_ts_ns += NS_PER_HOUR;
    v->market_ts_ns = v->symbols[0].signal_expires_ns;
    view_publish(w->box);
    expect_signal(all, "BTCUSDT", "HOLD", FIXTURE_MARKET_NS + NS_PER_HOUR);
    close(all);
}

/* ---- who may ---- */

static int code_of(struct world *w, const char *path, const char *headers) {
    int code, fd = upgrade(w->port, path, headers, 0, &code);
    close(fd);
    return code;
}

static void other_pages_may_not_listen(void **state) {
    struct world *w = *state;
    assert_int_equal(code_of(w, "/ws/signals", "Origin: http://evil.example\r\n"), 403);
    assert_int_equal(code_of(w, "/ws/signals", "Origin: https://127.0.0.1\r\n"), 403);
    assert_int_equal(code_of(w, "/ws/signals", "Origin: null\r\n"), 403);
    assert_int_equal(code_of(w, "/ws/signals", "Origin: http://127.0.0.1\r\n"), 101);
    assert_int_equal(code_of(w, "/ws/other", ""), 404);
    assert_int_equal(code_of(w, "/health", ""), 404);
    expect_error(get(w->port, "/ws/signals"), 426, "WebSocket");
    struct world guarded;
    world_open(&guarded, &(struct api_config){.token = "s3cret"});
    publish_engine(&guarded);
    assert_int_equal(code_of(&guarded, "/ws/signals", ""), 401);
    assert_int_equal(code_of(&guarded, "/ws/signals", "Authorization: Bearer s3cret\r\n"), 101);
    world_close(&guarded);
}

static void listeners_are_limited(void **state) {
    enum { MOST = 32 };
    struct world *w = *state;
    int fds[MOST];
    for (int i = 0; i < MOST; i++) fds[i] = listen_with(w->port, "/ws/signals", 0);
    assert_int_equal(code_of(w, "/ws/signals", ""), 503);
    publish_close(w, 1);
    for (int i = 0; i < MOST; i++) {
        expect_signal(fds[i], "BTCUSDT", "BUY", FIXTURE_MARKET_NS + NS_PER_HOUR);
        close(fds[i]);
    }
}

/* ---- who does not read ---- */

static void publish_crowd(struct world *w, int hour) {
    struct view *v = view_begin(w->box);
    fixture_fill(v, tstamp_wall_ns());
    fixture_engine(v);
    v->symbol_count = INSTRUMENTS_MAX;
    v->market_ts_ns += hour * NS_PER_HOUR;
    for (uint32_t i = 0; i < INSTRUMENTS_MAX; i++) {
        if (i) v->symbols[i] = v->symbols[0];
        snprintf(v->symbols[i].symbol, SYMBOL_SIZE, "S%03uUSDT", i);
    }
    for (uint32_t i = 0; i < INSTRUMENTS_MAX; i++) {
        v->symbols[i].signal_ts_ns += hour * NS_PER_HOUR;
        v->symbols[i].signal_expires_ns += hour * NS_PER_HOUR;
    }
    view_publish(w->box);
}

static void a_slow_reader_is_cut_and_nobody_else(void **state) {
    enum { CLOSES = 40 };
    struct world *w = *state;
    int slow = listen_with(w->port, "/ws/signals", 4096);
    int good = listen_with(w->port, "/ws/signals", 0);
    size_t bytes = 0;
    for (int hour = 1; hour <= CLOSES; hour++) {
        publish_crowd(w, hour);
        for (int i = 0; i < INSTRUMENTS_MAX; i++) {
            char *text = message(good);
            assert_non_null(text);
            bytes += strlen(text);
            free(text);
        }
    }
    assert_true(bytes > 3 * 8 * 1024 * 1024); /* far beyond what is kept for the slow one */
    size_t got = 0;
    char buffer[65536];
    ssize_t n;
    while ((n = recv(slow, buffer, sizeof buffer, 0)) > 0) got += (size_t)n;
    assert_true(n == 0 || errno == ECONNRESET); /* an end, not a silence */
    assert_true(got < bytes / 2);
    json_decref(get_json(w->port, "/health/live", 200));
    close(slow);
    close(good);
}

static void what_listeners_say_does_not_hurt(void **state) {
    struct world *w = *state;
    static const uint8_t ping[] = {0x89, 0x80, 0, 0, 0, 0}, text[] = {0x81, 0x81, 0, 0, 0, 0, 'x'};
    static const uint8_t unmasked[] = {0x81, 0x01, 'x'}, end[] = {0x88, 0x80, 0, 0, 0, 0};
    int fd = listen_with(w->port, "/ws/signals", 0);
    uint8_t pong[2];
    put(fd, text, sizeof text);
    put(fd, ping, sizeof ping);
    assert_true(get_bytes(fd, pong, 2));
    assert_int_equal(pong[0], 0x8a);
    put(fd, end, sizeof end);
    assert_true(get_bytes(fd, pong, 2));
    assert_int_equal(pong[0], 0x88);
    close(fd);
    fd = listen_with(w->port, "/ws/signals", 0);
    put(fd, unmasked, sizeof unmasked);
    assert_true(get_bytes(fd, pong, 2));
    assert_int_equal(pong[0], 0x88); /* 1002 */
    close(fd);
    json_decref(get_json(w->port, "/health/live", 200));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, push_setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(each_new_signal_is_pushed_once),       TEST(an_expired_signal_is_hold),
        TEST(other_pages_may_not_listen),           TEST(listeners_are_limited),
        TEST(a_slow_reader_is_cut_and_nobody_else), TEST(what_listeners_say_does_not_hurt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
