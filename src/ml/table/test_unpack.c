#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <string.h>
#include <unistd.h>
#define ZLIB_CONST
#include <zlib.h>
#include <zstd.h>

#include "base/rng.h"
#include "ml/table/unpack.h"

static uint64_t seed;

enum { TEXT_SIZE = 700000, PACKED_SIZE = 2 * TEXT_SIZE + 4096 };

static unsigned char text[TEXT_SIZE], packed[PACKED_SIZE];

/* Half of it compresses well, half not at all: both paths of a decoder, over several buffers. */
static void make_text(struct rng *rng) {
    for (size_t i = 0; i < TEXT_SIZE; i++)
        text[i] = i % 8192 < 4096 ? (unsigned char)('a' + i % 7) : (unsigned char)rng_u64(rng);
}

static size_t gzip_member(unsigned char *out, size_t room, const unsigned char *in, size_t size) {
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = in;
    z.avail_in = (uInt)size;
    z.next_out = out;
    z.avail_out = (uInt)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t used = room - z.avail_out;
    deflateEnd(&z);
    return used;
}

static size_t zstd_frame(unsigned char *out, size_t room, const unsigned char *in, size_t size) {
    size_t used = ZSTD_compress(out, room, in, size, 3);
    assert_false(ZSTD_isError(used));
    return used;
}

static size_t plain(unsigned char *out, size_t room, const unsigned char *in, size_t size) {
    assert_true(size <= room);
    memcpy(out, in, size);
    return size;
}

typedef size_t (*pack_fn)(unsigned char *, size_t, const unsigned char *, size_t);

/* Reads in pieces of odd sizes; the sum must be the text. */
static void check_reads(struct unpack *u, const unsigned char *expected, size_t size,
                        struct rng *rng) {
    static unsigned char got[TEXT_SIZE + 1];
    size_t used = 0, n;
    struct err err = {0};
    uint64_t position = 0, file_size = 0;
    do {
        size_t want = 1 + rng_u64(rng) % 50000;
        if (want > sizeof got - used) want = sizeof got - used;
        assert_int_equal(unpack_read(u, got + used, want, &n, &err), ST_OK);
        assert_true(n <= want);
        used += n;
        uint64_t now = unpack_position(u, &file_size);
        assert_true(now >= position);
        position = now;
    } while (n > 0);
    assert_int_equal(used, size);
    assert_memory_equal(got, expected, size);
    assert_int_equal(unpack_read(u, got, 10, &n, &err), ST_OK);
    assert_int_equal(n, 0);
    assert_int_equal(position, file_size);
}

static void write_file(const char *path, const void *bytes, size_t size) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static void check_packing(pack_fn pack, size_t parts) {
    struct rng rng = rng_init(seed);
    make_text(&rng);
    size_t used = 0, from = 0;
    for (size_t i = 0; i < parts; i++) {
        size_t size = i + 1 == parts ? TEXT_SIZE - from : rng_u64(&rng) % (TEXT_SIZE / parts);
        used += pack(packed + used, PACKED_SIZE - used, text + from, size);
        from += size;
    }
    struct err err = {0};
    struct unpack *u;
    assert_int_equal(unpack_memory(&u, packed, used, "m", &err), ST_OK);
    check_reads(u, text, TEXT_SIZE, &rng);
    unpack_close(u);

    char path[] = "/tmp/test_unpack-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    write_file(path, packed, used);
    assert_int_equal(unpack_open(&u, path, &err), ST_OK);
    check_reads(u, text, TEXT_SIZE, &rng);
    unpack_close(u);
    char *all;
    size_t size;
    assert_int_equal(unpack_open(&u, path, &err), ST_OK);
    assert_int_equal(unpack_all(&all, &size, u, TEXT_SIZE, &err), ST_OK);
    assert_int_equal(size, TEXT_SIZE);
    assert_memory_equal(all, text, TEXT_SIZE);
    assert_int_equal(all[TEXT_SIZE], 0);
    free(all);
    unpack_close(u);
    assert_int_equal(unpack_open(&u, path, &err), ST_OK);
    assert_int_equal(unpack_all(&all, &size, u, TEXT_SIZE - 1, &err), ST_RANGE);
    assert_non_null(strstr(err.text, "larger than 699999 bytes"));
    unpack_close(u);
    unlink(path);
}

static void test_plain(void **state) {
    (void)state;
    check_packing(plain, 1);
}

static void test_gzip(void **state) {
    (void)state;
    check_packing(gzip_member, 1);
    check_packing(gzip_member, 5);
}

static void test_zstd(void **state) {
    (void)state;
    check_packing(zstd_frame, 1);
    check_packing(zstd_frame, 5);
}

static void check_small(const void *bytes, size_t size, const char *expected) {
    struct err err = {0};
    struct unpack *u;
    char *all;
    size_t got;
    assert_int_equal(unpack_memory(&u, bytes, size, "m", &err), ST_OK);
    assert_int_equal(unpack_all(&all, &got, u, 100, &err), ST_OK);
    assert_int_equal(got, strlen(expected));
    assert_string_equal(all, expected);
    free(all);
    unpack_close(u);
}

static void test_small(void **state) {
    (void)state;
    unsigned char buffer[256];
    check_small("", 0, "");
    check_small("a", 1, "a");
    check_small("\x1F", 1, "\x1F");
    check_small("\x28\xB5\x2F", 3, "\x28\xB5\x2F");
    check_small(buffer, gzip_member(buffer, sizeof buffer, text, 0), "");
    check_small(buffer, zstd_frame(buffer, sizeof buffer, text, 0), "");
    /* A skippable frame carries nothing. */
    memcpy(buffer, "\x5A\x2A\x4D\x18\x03\0\0\0xyz", 11);
    check_small(buffer, 11 + zstd_frame(buffer + 11, 200, (const unsigned char *)"abc", 3), "abc");
}

/* Every cut of a packed text is seen, except where a member ends. */
static void check_cuts(pack_fn pack, const char *word) {
    static const unsigned char small[] = "to be, or not to be, that is the question: to be";
    unsigned char buffer[512];
    size_t first = pack(buffer, 256, small, sizeof small);
    size_t size = first + pack(buffer + first, 256, small, sizeof small);
    for (size_t cut = 5; cut < size; cut++) {
        if (cut == first) continue;
        struct err err = {0};
        struct unpack *u;
        char *all = NULL;
        size_t got;
        /* A copy of exactly that size, so that a sanitizer sees any read behind it. */
        unsigned char *copy = malloc(cut);
        assert_non_null(copy);
        memcpy(copy, buffer, cut);
        assert_int_equal(unpack_memory(&u, copy, cut, "some.file", &err), ST_OK);
        assert_int_equal(unpack_all(&all, &got, u, 1000, &err), ST_CORRUPT);
        assert_non_null(strstr(err.text, "some.file: damaged "));
        assert_non_null(strstr(err.text, word));
        assert_non_null(strstr(err.text, "ends too early"));
        assert_int_equal(unpack_read(u, buffer + 511, 1, &got, &err), ST_CORRUPT);
        unpack_close(u);
        free(copy);
    }
}

static void test_cuts(void **state) {
    (void)state;
    check_cuts(gzip_member, "gzip");
    check_cuts(zstd_frame, "zstd");
}

static void test_damage(void **state) {
    (void)state;
    struct rng rng = rng_init(seed + 1);
    make_text(&rng);
    size_t size = gzip_member(packed, PACKED_SIZE, text, 60000);
    for (int i = 0; i < 300; i++) {
        size_t at = 10 + rng_u64(&rng) % (size - 10);
        unsigned char bit = (unsigned char)(1U << rng_u64(&rng) % 8);
        packed[at] ^= bit;
        struct err err = {0};
        struct unpack *u;
        char *all = NULL;
        size_t got;
        assert_int_equal(unpack_memory(&u, packed, size, "m", &err), ST_OK);
        assert_int_equal(unpack_all(&all, &got, u, 1 << 20, &err), ST_CORRUPT);
        unpack_close(u);
        packed[at] ^= bit;
    }
    struct err err = {0};
    struct unpack *u;
    char *all = NULL;
    size_t got;
    memcpy(packed + size, "tail", 4);
    assert_int_equal(unpack_memory(&u, packed, size + 4, "m", &err), ST_OK);
    assert_int_equal(unpack_all(&all, &got, u, 1 << 20, &err), ST_CORRUPT);
    unpack_close(u);
}

static void test_open_errors(void **state) {
    (void)state;
    struct err err = {0};
    struct unpack *u = NULL;
    assert_int_equal(unpack_open(&u, "/nonexistent/file", &err), ST_NOT_FOUND);
    assert_string_equal(err.text, "/nonexistent/file: No such file or directory");
    assert_int_equal(unpack_open(&u, "/", &err), ST_IO);
    assert_null(u);
}

int main(void) {
    const char *text_seed = getenv("TEST_SEED");
    seed = text_seed ? strtoull(text_seed, NULL, 10) : 20261122;
    printf("TEST_SEED=%llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),      cmocka_unit_test(test_gzip),
        cmocka_unit_test(test_zstd),       cmocka_unit_test(test_small),
        cmocka_unit_test(test_cuts),       cmocka_unit_test(test_damage),
        cmocka_unit_test(test_open_errors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
