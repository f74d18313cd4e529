#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include "net/test_server.h"

static char folder[] = "net-tls-XXXXXX", cert[64], key[64];

static int folder_make(void **state) {
    (void)state;
    if (!mkdtemp(folder)) return -1;
    snprintf(cert, sizeof cert, "%s/cert.pem", folder);
    snprintf(key, sizeof key, "%s/key.pem", folder);
    return 0;
}

static int folder_remove(void **state) {
    (void)state;
    unlink(cert);
    unlink(key);
    return rmdir(folder);
}

static void test_certificate(void **state) {
    (void)state;
    struct err err;
    struct stat st;
    assert_int_equal(net_tls_generate(cert, key, "a b", &err), ST_INVALID);
    assert_int_equal(net_tls_generate(cert, key, "", &err), ST_INVALID);
    assert_int_equal(net_tls_generate(cert, key, "a,,b", &err), ST_INVALID);
    assert_int_equal(net_tls_generate(cert, key, "a,DNS:b", &err), ST_INVALID);
    assert_int_equal(access(key, F_OK), -1);
    if (net_tls_generate(cert, key, "localhost,127.0.0.1,::1,fapi.example.com", &err) != ST_OK)
        fail_msg("%s", err.text);
    assert_int_equal(stat(key, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    FILE *f = fopen(cert, "r");
    assert_non_null(f);
    X509 *x = PEM_read_X509(f, NULL, NULL, NULL);
    fclose(f);
    assert_non_null(x);
    assert_int_equal(X509_check_host(x, "localhost", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(x, "fapi.example.com", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(x, "example.com", 0, 0, NULL), 0);
    assert_int_equal(X509_check_ip_asc(x, "127.0.0.1", 0), 1);
    assert_int_equal(X509_check_ip_asc(x, "::1", 0), 1);
    assert_int_equal(X509_check_ip_asc(x, "127.0.0.2", 0), 0);
    int days = 0, seconds = 0;
    assert_int_equal(ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(x)), 1);
    assert_in_range(days, 363, 365);
    X509_free(x);
    /* What is there stays as it is; half a pair is not guessed about. */
    ino_t before = st.st_ino;
    assert_int_equal(net_tls_generate(cert, key, "other", &err), ST_OK);
    assert_int_equal(stat(key, &st), 0);
    assert_int_equal(st.st_ino, before);
    char missing[80];
    snprintf(missing, sizeof missing, "%s.none", key);
    assert_int_equal(net_tls_generate(cert, missing, "other", &err), ST_MISMATCH);
}

static void test_bad_files(void **state) {
    (void)state;
    struct server s;
    struct net *n;
    struct err err;
    uv_loop_t loop;
    server_prepare(&s);
    assert_int_equal(uv_loop_init(&loop), 0);
    s.options.tls_cert_file = cert;
    assert_int_equal(net_open(&n, &loop, &s.options, &err), ST_INVALID);
    s.options.tls_key_file = "no-such-file.pem";
    assert_int_equal(net_open(&n, &loop, &s.options, &err), ST_INVALID);
    assert_non_null(strstr(err.text, "no-such-file.pem"));
    s.options.tls_cert_file = key;
    s.options.tls_key_file = key;
    assert_int_equal(net_open(&n, &loop, &s.options, &err), ST_INVALID);
    assert_int_equal(uv_loop_close(&loop), 0);
}

/* ---- a client of TLS ---- */

struct secure {
    SSL_CTX *context;
    SSL *ssl;
    int fd;
};

static void secure_dial(struct secure *c, uint16_t port, int version) {
    c->context = SSL_CTX_new(TLS_client_method());
    assert_non_null(c->context);
    assert_int_equal(SSL_CTX_load_verify_locations(c->context, cert, NULL), 1);
    SSL_CTX_set_verify(c->context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_min_proto_version(c->context, version);
    SSL_CTX_set_max_proto_version(c->context, version);
    static const unsigned char protocols[] = "\x02h2\x08http/1.1";
    assert_int_equal(SSL_CTX_set_alpn_protos(c->context, protocols, sizeof protocols - 1), 0);
    c->ssl = SSL_new(c->context);
    c->fd = dial(port);
    SSL_set_fd(c->ssl, c->fd);
    assert_int_equal(SSL_set1_host(c->ssl, "localhost"), 1);
    if (SSL_connect(c->ssl) != 1) {
        char text[200];
        ERR_error_string_n(ERR_get_error(), text, sizeof text);
        fail_msg("handshake: %s", text);
    }
    const unsigned char *protocol;
    unsigned size;
    SSL_get0_alpn_selected(c->ssl, &protocol, &size);
    assert_int_equal(size, 8);
}

static void secure_close(struct secure *c) {
    SSL_free(c->ssl);
    SSL_CTX_free(c->context);
    close(c->fd);
}

static void secure_get(struct secure *c, char *out, size_t size) {
    for (size_t got = 0, n; got < size; got += n)
        if (SSL_read_ex(c->ssl, out + got, size - got, &n) != 1) fail_msg("ended at %zu", got);
}

static void secure_put(struct secure *c, const char *bytes, size_t size) {
    size_t n;
    assert_int_equal(SSL_write_ex(c->ssl, bytes, size, &n), 1);
    assert_int_equal(n, size);
}

static int secure_answer(struct secure *c, char *body, size_t *body_size) {
    char head[2048];
    size_t at = 0;
    do {
        assert_true(at < sizeof head - 1);
        secure_get(c, head + at++, 1);
    } while (at < 4 || memcmp(head + at - 4, "\r\n\r\n", 4) != 0);
    head[at] = '\0';
    const char *length = strstr(head, "Content-Length: ");
    *body_size = length ? strtoul(length + 16, NULL, 10) : 0;
    assert_true(*body_size < ANSWER_SIZE);
    if (*body_size) secure_get(c, body, *body_size);
    body[*body_size] = '\0';
    return atoi(head + 9);
}

static void talk(struct secure *c) {
    char *body = malloc(ANSWER_SIZE), *large = calloc(1, 300000);
    size_t size;
    assert_true(body && large);
    secure_put(c, PLAIN, strlen(PLAIN));
    assert_int_equal(secure_answer(c, body, &size), 200);
    assert_string_equal(body, PLAIN_BODY);
    secure_put(c, PLAIN "GET /later HTTP/1.1\r\nHost: h\r\n\r\n" PLAIN,
               2 * strlen(PLAIN) + strlen("GET /later HTTP/1.1\r\nHost: h\r\n\r\n"));
    static const char *const want[] = {PLAIN_BODY, "later", PLAIN_BODY};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(secure_answer(c, body, &size), 200);
        assert_string_equal(body, want[i]);
    }
    for (int i = 0; i < 5; i++) secure_put(c, "GET /large HTTP/1.1\r\nHost: h\r\n\r\n", 32);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(secure_answer(c, body, &size), 200);
        assert_int_equal(size, 512 * 1024);
        assert_int_equal(strspn(body, "x"), size);
    }
    static const char post[] = "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 300000\r\n\r\n";
    secure_put(c, post, sizeof post - 1);
    memset(large, 'y', 300000);
    secure_put(c, large, 300000);
    assert_int_equal(secure_answer(c, body, &size), 200);
    assert_memory_equal(body, "POST /p ? [yyyy", 15);
    static const char open[] =
        "GET /hello HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        "\x81\x82\x01\x02\x03\x04\x49\x6b";
    secure_put(c, open, sizeof open - 1);
    assert_int_equal(secure_answer(c, body, &size), 101);
    secure_get(c, body, 11);
    assert_memory_equal(body, "\x81\x05hello\x81\x02Hi", 11);
    secure_put(c, "\x88\x82\0\0\0\0\x03\xe8", 8);
    secure_get(c, body, 4);
    assert_memory_equal(body, "\x88\x02\x03\xe8", 4);
    assert_int_equal(SSL_read_ex(c->ssl, body, 1, &size), 0);
    assert_int_equal(SSL_get_error(c->ssl, 0), SSL_ERROR_ZERO_RETURN); /* a proper goodbye */
    free(large);
    free(body);
}

static void test_talk(void **state) {
    (void)state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct server s;
    server_prepare(&s);
    s.options.tls_cert_file = cert;
    s.options.tls_key_file = key;
    server_start(&s);
    for (int i = 0; i < 2; i++) {
        struct secure c;
        secure_dial(&c, s.port, versions[i]);
        talk(&c);
        secure_close(&c);
    }
    server_stop(&s);
    assert_int_equal(s.closed, 2);
    assert_int_equal(s.stats.bad_requests, 0);
}

/* No handshake, half a handshake, garbage instead of one or behind one: others go on. */
static void test_abuse(void **state) {
    (void)state;
    struct server s;
    char byte[64];
    size_t n;
    server_prepare(&s);
    s.options.tls_cert_file = cert;
    s.options.tls_key_file = key;
    s.options.limits.request_ms_max = 200;
    server_start(&s);
    struct secure good, bad;
    secure_dial(&good, s.port, TLS1_3_VERSION);
    int plain = dial(s.port), silent = dial(s.port), half = dial(s.port);
    put_line(plain, PLAIN);
    put_bytes(half, "\x16\x03\x01\x02\x00\x01", 6);
    assert_int_equal(ended(plain), 0); /* behind an alert */
    assert_int_equal(ended(half), -1);
    assert_int_equal(ended(silent), -1);
    secure_dial(&bad, s.port, TLS1_3_VERSION);
    put_bytes(bad.fd, "\x17\x03\x03\x00\x20garbage garbage garbage garbage.", 37);
    assert_int_equal(SSL_read_ex(bad.ssl, byte, sizeof byte, &n), 0);
    assert_int_equal(SSL_get_error(bad.ssl, 0), SSL_ERROR_SSL); /* an alert */
    ERR_clear_error();
    secure_close(&bad);
    secure_dial(&bad, s.port, TLS1_3_VERSION);
    secure_put(&bad, "GET / HT", 8); /* a slow one, inside */
    char *body = malloc(ANSWER_SIZE);
    assert_non_null(body);
    assert_int_equal(secure_answer(&bad, body, &n), 408);
    secure_close(&bad);
    secure_put(&good, PLAIN, strlen(PLAIN));
    assert_int_equal(secure_answer(&good, body, &n), 200);
    secure_close(&good);
    free(body);
    close(plain);
    close(silent);
    close(half);
    server_stop(&s);
    assert_int_equal(s.stats.timed_out, 3);
    assert_int_equal(s.stats.bad_requests, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_certificate),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_talk),
        cmocka_unit_test(test_abuse),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
