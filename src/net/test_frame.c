#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <string.h>

#include "base/rng.h"
#include "net/net_internal.h"

static struct net_limits limits_small(void) {
    struct net_limits l = net_limits_defaults();
    l.message_bytes_max = 70000;
    return l;
}

/* What a client writes. */
static size_t frame_make(char *out, unsigned first, const char *payload, size_t size) {
    static const unsigned char mask[4] = {0x37, 0xFA, 0x21, 0x3D};
    size_t at = 0;
    out[at++] = (char)first;
    if (size <= 125) {
        out[at++] = (char)(0x80 | size);
    } else if (size <= 65535) {
        out[at++] = (char)(0x80 | 126);
        out[at++] = (char)(size >> 8);
        out[at++] = (char)size;
    } else {
        out[at++] = (char)(0x80 | 127);
        for (int i = 7; i >= 0; i--) out[at++] = (char)((uint64_t)size >> (8 * i));
    }
    memcpy(out + at, mask, 4);
    at += 4;
    for (size_t i = 0; i < size; i++) out[at + i] = (char)((unsigned char)payload[i] ^ mask[i & 3]);
    return at + size;
}

static enum net_parse parse(struct net_frame *f, size_t *used, int *status, const char *bytes,
                            size_t size, char **copy) {
    struct net_limits l = limits_small();
    *copy = malloc(size ? size : 1);
    assert_non_null(*copy);
    memcpy(*copy, bytes, size);
    return net_frame_parse(f, used, status, *copy, size, &l);
}

static void bad_frame(const char *bytes, size_t size, int want) {
    struct net_frame f;
    size_t used;
    int status = 0;
    char *copy;
    enum net_parse p = parse(&f, &used, &status, bytes, size, &copy);
    free(copy);
    assert_int_equal(p, want == 1009 ? NET_PARSE_TOO_LARGE : NET_PARSE_BAD);
    assert_int_equal(status, want);
}

/* RFC 6455, 5.7: a single-frame masked text message. */
static void test_example_of_the_standard(void **state) {
    (void)state;
    static const char bytes[] = "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    struct net_frame f;
    size_t used;
    int status;
    char *copy;
    assert_int_equal(parse(&f, &used, &status, bytes, 11, &copy), NET_PARSE_DONE);
    assert_int_equal(used, 11);
    assert_true(f.fin);
    assert_int_equal(f.opcode, NET_WS_TEXT);
    assert_int_equal(f.payload.size, 5);
    assert_memory_equal(f.payload.data, "Hello", 5);
    free(copy);
}

/* Every length form, cut anywhere: MORE before the end, the payload at it. */
static void test_lengths(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 7, 8, 9, 125, 126, 127, 1000, 65535, 65536, 70000};
    char *payload = malloc(70001), *bytes = malloc(70100);
    assert_true(payload && bytes);
    for (size_t i = 0; i < 70001; i++) payload[i] = (char)(i % 95 + 32);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t size = frame_make(bytes, 0x82, payload, sizes[i]), used;
        struct net_frame f;
        int status;
        char *copy;
        for (size_t cut = 0; cut < size; cut += cut < 40 ? 1 : 9973) {
            assert_int_equal(parse(&f, &used, &status, bytes, cut, &copy), NET_PARSE_MORE);
            assert_memory_equal(copy, bytes, cut); /* nothing is unmasked before it is whole */
            free(copy);
        }
        assert_int_equal(parse(&f, &used, &status, bytes, size, &copy), NET_PARSE_DONE);
        assert_int_equal(used, size);
        assert_int_equal(f.opcode, NET_WS_BINARY);
        assert_int_equal(f.payload.size, sizes[i]);
        assert_memory_equal(f.payload.data, payload, sizes[i]);
        free(copy);
        /* What a server writes of the same size reads back, once it is masked. */
        uint8_t header[10];
        size_t n = net_frame_header(header, NET_WS_BINARY, sizes[i]);
        assert_int_equal(n + 4 + sizes[i], size);
        assert_int_equal(header[0], 0x82);
        header[1] |= 0x80;
        assert_memory_equal(header, bytes, n);
    }
    size_t size = frame_make(bytes, 0x82, payload, 70001);
    bad_frame(bytes, size, 1009);
    bad_frame(bytes, 10, 1009); /* from its header alone */
    free(payload);
    free(bytes);
}

static void test_rules(void **state) {
    (void)state;
    char bytes[256], payload[200] = {0};
    static const unsigned first_bad[] = {0xC1, 0xA1, 0x91, 0x83, 0x87,
                                         0x8B, 0x8F, 0x09, 0x08, 0x0A};
    for (size_t i = 0; i < sizeof first_bad / sizeof *first_bad; i++) {
        size_t n = frame_make(bytes, first_bad[i], payload, 4);
        bad_frame(bytes, n, 1002);
        bad_frame(bytes, 1, 1002);
    }
    bad_frame("\x81\x05Hello", 7, 1002);                                /* not masked */
    bad_frame("\x82\xfe\x00\x7d", 4, 1002);                             /* 125 in two bytes */
    bad_frame("\x82\xff\x00\x00\x00\x00\x00\x00\xff\xff", 10, 1002);    /* 65535 in eight */
    bad_frame("\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00", 10, 1002);    /* 64 bits */
    bad_frame(bytes, frame_make(bytes, 0x89, payload, 126), 1002);      /* long ping */
    bad_frame(bytes, frame_make(bytes, 0x88, payload, 1), 1002);        /* half a code */
    bad_frame(bytes, frame_make(bytes, 0x88, "\x03\xe8\xff", 3), 1007); /* reason not UTF-8 */
    bad_frame(bytes, frame_make(bytes, 0x81, "\xc3\x28", 2), 1007);
    static const int codes[] = {0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        const char code[2] = {(char)(codes[i] >> 8), (char)codes[i]};
        bad_frame(bytes, frame_make(bytes, 0x88, code, 2), 1002);
    }
    static const int good[] = {1000, 1001, 1003, 1007, 1011, 1014, 3000, 4999};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        const char code[2] = {(char)(good[i] >> 8), (char)good[i]};
        struct net_frame f;
        size_t used;
        int status;
        char *copy;
        size_t n = frame_make(bytes, 0x88, code, 2);
        assert_int_equal(parse(&f, &used, &status, bytes, n, &copy), NET_PARSE_DONE);
        free(copy);
    }
}

/* The obvious decoder: a code point, then what the standard forbids. */
static bool utf8_twin(const unsigned char *p, size_t size) {
    for (size_t i = 0; i < size;) {
        unsigned c = p[i++];
        unsigned more = c < 0x80 ? 0 : c >> 5 == 6 ? 1 : c >> 4 == 14 ? 2 : c >> 3 == 30 ? 3 : 9;
        if (more == 9 || i + more > size) return false;
        uint32_t point = more == 0 ? c : c & (0x3Fu >> more);
        for (unsigned k = 0; k < more; k++, i++) {
            if (p[i] >> 6 != 2) return false;
            point = point << 6 | (p[i] & 0x3F);
        }
        static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
        if (point < least[more] || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF))
            return false;
    }
    return true;
}

static void test_utf8(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        bool valid;
    } rows[] = {{"", true},
                {"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5", true},
                {"\xf4\x8f\xbf\xbf", true},
                {"\xf4\x90\x80\x80", false},
                {"\xed\x9f\xbf\xee\x80\x80", true},
                {"\xed\xa0\x80", false},
                {"\xc0\xaf", false},
                {"\xe0\x80\xaf", false},
                {"\xf0\x80\x80\xaf", false},
                {"12345678\x80", false},
                {"1234567\xc3\xa4\xc3\xa4", true},
                {"\xe1\xbd", false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(net_utf8_is_valid(rows[i].bytes, strlen(rows[i].bytes)), rows[i].valid);
    /* All pairs and all triples that begin where rules differ, then random strings of odd bytes. */
    unsigned char b[24];
    for (unsigned i = 0; i < 65536; i++) {
        b[0] = (unsigned char)(i >> 8);
        b[1] = (unsigned char)i;
        assert_int_equal(net_utf8_is_valid((char *)b, 2), utf8_twin(b, 2));
        for (unsigned last = 0x7F; last <= 0xC0; last += last == 0x80 ? 0x3F : 1) {
            b[2] = (unsigned char)last;
            assert_int_equal(net_utf8_is_valid((char *)b, 3), utf8_twin(b, 3));
        }
    }
    static const unsigned char odd[] = {0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC2,
                                        0xDF, 0xE0, 0xE1, 0xED, 0xEF, 0xF0, 0xF1, 0xF4, 0xF5};
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 5;
    printf("seed %llu\n", (unsigned long long)seed);
    struct rng rng = rng_init(seed);
    for (int i = 0; i < 300000; i++) {
        size_t size = rng_below(&rng, sizeof b + 1);
        for (size_t k = 0; k < size; k++) b[k] = odd[rng_below(&rng, rng_below(&rng, 3) ? 1 : 18)];
        if (size >= 4 && rng_below(&rng, 2)) memcpy(b + size - 4, "\xf1\x80\xbf\x80", 4);
        assert_int_equal(net_utf8_is_valid((char *)b, size), utf8_twin(b, size));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_example_of_the_standard),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
