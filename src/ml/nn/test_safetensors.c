/* Files of weights: what is written is read back; what is damaged is refused with its place. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/rng.h"
#include "ml/nn/params.h"

static void make(struct nn_params *p, bool training) {
    struct err err;
    const size_t a[] = {3, 5}, b[] = {5}, c[] = {2, 1, 4};
    assert_int_equal(nn_params_init(p, 5, &err), ST_OK);
    assert_int_equal(nn_params_add(p, "layer.0.weight", true, 2, a), ST_OK);
    assert_int_equal(nn_params_add(p, "layer.0.num_batches_tracked", false, 0, NULL), ST_OK);
    nn_params_find(p, "layer.0.num_batches_tracked")->is_integer = true;
    assert_int_equal(nn_params_add(p, "running \"mean\"", false, 1, b), ST_OK);
    assert_int_equal(nn_params_add(p, "W_pos", true, 3, c), ST_OK);
    assert_int_equal(nn_params_add(p, "scale", false, 0, NULL), ST_OK);
    assert_int_equal(nn_params_add(p, "one more", false, 0, NULL), ST_FULL);
    assert_int_equal(nn_params_place(p, training, &err), ST_OK);
}

static void fill(struct nn_params *p, uint64_t seed) {
    struct rng r = rng_init(seed);
    for (uint32_t i = 0; i < p->count; i++)
        for (size_t k = 0; k < p->tensors[i].count; k++)
            p->tensors[i].value[k] =
                p->tensors[i].is_integer ? (nn_real)rng_below(&r, 1000) : (nn_real)rng_normal(&r);
}

static void test_places(void **state) {
    (void)state;
    struct nn_params p;
    make(&p, true);
    assert_int_equal(p.trainable_size, 32);
    assert_int_equal(p.size, 80);
    for (uint32_t i = 0; i < p.count; i++) {
        const struct nn_tensor *t = &p.tensors[i];
        assert_int_equal((uintptr_t)t->value % 64, 0);
        assert_int_equal(t->grad != NULL, t->trainable);
        if (t->trainable) assert_ptr_equal(t->grad - p.grad, (void *)(t->value - p.value));
        assert_int_equal((size_t)(t->value - p.value) < p.trainable_size, t->trainable);
    }
    assert_ptr_equal(nn_params_find(&p, "W_pos"), &p.tensors[3]);
    assert_null(nn_params_find(&p, "W_po"));
    nn_params_free(&p);
    struct err err;
    const size_t none[] = {0};
    assert_int_equal(nn_params_init(&p, NN_TENSORS_MAX + 1, &err), ST_RANGE);
    assert_int_equal(nn_params_init(&p, 2, &err), ST_OK);
    assert_int_equal(nn_params_add(&p, "a", true, 0, NULL), ST_OK);
    assert_int_equal(nn_params_add(&p, "a", true, 0, NULL), ST_EXISTS);
    assert_int_equal(nn_params_add(&p, "b", true, 1, none), ST_RANGE);
    nn_params_free(&p);
}

static void test_round_trip(void **state) {
    (void)state;
    struct nn_params p, q;
    struct err err = {0};
    char path[] = "test_nn_weights_XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    make(&p, true);
    make(&q, false);
    fill(&p, 7);
    const char metadata[] = "format\0pt\0made \"by\"\0test\n\0";
    assert_int_equal(nn_params_save(&p, path, metadata, &err), ST_OK);
    assert_int_equal(nn_params_load(&q, path, &err), ST_OK);
    assert_memory_equal(p.value, q.value, p.size * sizeof *p.value);

    /* The layout that other readers rely on. */
    struct safetensors *s;
    assert_int_equal(safetensors_open(&s, path, &err), ST_OK);
    assert_string_equal(safetensors_metadata(s, "format"), "pt");
    assert_string_equal(safetensors_metadata(s, "made \"by\""), "test\n");
    assert_null(safetensors_metadata(s, "test\n"));
    assert_int_equal(safetensors_count(s), 5);
    assert_string_equal(safetensors_at(s, 0)->name, "layer.0.num_batches_tracked");
    assert_string_equal(safetensors_at(s, 0)->dtype, "I64");
    assert_string_equal(safetensors_at(s, 1)->name, "layer.0.weight");
    assert_string_equal(safetensors_at(s, 1)->dtype, "F32");
    assert_int_equal(safetensors_find(s, "W_pos")->rank, 3);
    const char *end = (const char *)safetensors_at(s, 0)->data;
    for (uint32_t i = 0; i < 5; i++) {
        const struct safetensor *t = safetensors_at(s, i);
        assert_ptr_equal(t->data, end);
        end += t->count * (i == 0 ? 8 : 4);
    }
    safetensors_close(s);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    uint64_t length;
    assert_int_equal(fread(&length, 8, 1, f), 1);
    assert_int_equal(length % 8, 0);
    assert_int_equal(fgetc(f), '{');
    fclose(f);
    unlink(path);
    assert_int_equal(nn_params_load(&q, path, &err), ST_NOT_FOUND);
    nn_params_free(&p);
    nn_params_free(&q);
}

/* A file of this header and so many bytes of data. */
static void refuse(const char *header, size_t data, enum status want, const char *text) {
    unsigned char bytes[2048] = {0};
    uint64_t length = strlen(header);
    assert_true(8 + length + data <= sizeof bytes);
    memcpy(bytes, &length, 8);
    memcpy(bytes + 8, header, length);
    struct safetensors *s = NULL;
    struct err err = {0};
    enum status st = safetensors_parse(&s, bytes, 8 + length + data, "f", &err);
    if (st != want || strcmp(err.text, text) != 0)
        fail_msg("%s\n  gives %s \"%s\"\n  not %s \"%s\"", header, status_name(st), err.text,
                 status_name(want), text);
    assert_null(s);
}

#define T(dtype, shape, from, to)                                                                  \
    "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" from "," to "]}"

static void test_refuses_what_does_not_hold(void **state) {
    (void)state;
    refuse("{\"a\":" T("F32", "[2]", "0", "8") "}", 7, ST_CORRUPT,
           "f: a: bytes 0 to 8 do not hold its shape, of 7 in the file");
    refuse("{\"a\":" T("F32", "[2]", "0", "8") "}", 9, ST_CORRUPT,
           "f: tensors end at byte 8 of 9 of data");
    refuse("{\"a\":" T("F32", "[3]", "0", "8") "}", 8, ST_CORRUPT,
           "f: a: bytes 0 to 8 do not hold its shape, of 8 in the file");
    refuse("{\"a\":" T("F32", "[4611686018427387904,4,2]", "0", "8") "}", 8, ST_CORRUPT,
           "f: a: bytes 0 to 8 do not hold its shape, of 8 in the file");
    refuse("{\"a\":" T("F32", "[99999999999999999999]", "0", "8") "}", 8, ST_CORRUPT,
           "f: byte 37: 99999999999999999999 is not a size");
    refuse("{\"a\":" T("F32", "[-1]", "0", "8") "}", 8, ST_CORRUPT, "f: byte 37: -1 is not a size");
    refuse("{\"a\":" T("F32", "[2.0]", "0", "8") "}", 8, ST_CORRUPT,
           "f: byte 37: 2.0 is not a size");
    refuse("{\"a\":" T("F32", "[2]", "8", "0") "}", 8, ST_CORRUPT,
           "f: a: bytes 8 to 0 do not hold its shape, of 8 in the file");
    refuse("{\"a\":" T("F32", "[1]", "0", "4") ",\"b\":" T("F32", "[1]", "2", "6") "}", 6,
           ST_CORRUPT, "f: b begins at byte 2 of the data, not 4");
    refuse("{\"a\":" T("F32", "[1]", "0", "4") ",\"b\":" T("F32", "[1]", "8", "12") "}", 12,
           ST_CORRUPT, "f: b begins at byte 8 of the data, not 4");
    refuse("{\"a\":" T("F32", "[1]", "0", "4") ",\"\\u0061\":" T("F32", "[1]", "4", "8") "}", 8,
           ST_CORRUPT, "f: tensor a comes twice");
    refuse("{\"a\":" T("F4", "[1]", "0", "4") "}", 4, ST_UNSUPPORTED, "f: a has type F4");
    refuse("{\"a\":" T("F32", "[1,1,1,1,1,1,1]", "0", "4") "}", 4, ST_UNSUPPORTED,
           "f: a has more than 6 dimensions");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, ST_CORRUPT, "f: a has no data_offsets");
    refuse("{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}", 4, ST_CORRUPT,
           "f: byte 29: a: field dtype comes twice");
    refuse("{\"a\":{\"colour\":\"F32\"}}", 4, ST_CORRUPT, "f: byte 15: a: field colour is unknown");
    refuse("{\"a\":{\"data_offsets\":[0,1,2]}}", 4, ST_CORRUPT,
           "f: a: data_offsets of more than two numbers");
    refuse("{\"a\":{\"data_offsets\":[0]}}", 4, ST_CORRUPT, "f: a: data_offsets of 1 numbers");
    refuse("{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}", 0, ST_CORRUPT,
           "f: byte 34: __metadata__ has k twice");
    refuse("{\"__metadata__\":{},\"__metadata__\":{}}", 0, ST_CORRUPT,
           "f: byte 28: __metadata__ comes twice");
    refuse("{\"a\\u0000b\":" T("F32", "[1]", "0", "4") "}", 4, ST_CORRUPT,
           "f: byte 10: a zero within a text");
    refuse("{}", 3, ST_CORRUPT, "f: 3 bytes behind no tensor");
    refuse("[]", 0, ST_CORRUPT, "f: byte 8: the header does not begin with {");
    refuse("", 4, ST_CORRUPT, "f: byte 8: the header does not begin with {");
    refuse(" {}", 0, ST_CORRUPT, "f: byte 8: the header does not begin with {");
}

static void refuse_bytes(const void *bytes, size_t size, const char *text) {
    struct safetensors *s = NULL;
    struct err err = {0};
    assert_int_equal(safetensors_parse(&s, bytes, size, "f", &err), ST_CORRUPT);
    assert_string_equal(err.text, text);
}

static void test_refuses_hostile_lengths(void **state) {
    (void)state;
    refuse_bytes("1234567", 7, "f: 7 bytes are no safetensors file");
    refuse_bytes("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10,
                 "f: byte 0: a header of 18446744073709551615 bytes in a file of 10");
    refuse_bytes("\x03\0\0\0\0\0\0\0{}", 10, "f: byte 0: a header of 3 bytes in a file of 10");
    struct safetensors *s = NULL;
    struct err err = {0};
    /* Every cut of a good file is refused, and so is every lie in its JSON that breaks the
     * grammar. */
    const char good[] = "{\"a\":" T("F32", "[2]", "0", "8") "}   ";
    unsigned char file[256];
    uint64_t length = sizeof good - 1;
    memcpy(file, &length, 8);
    memcpy(file + 8, good, length);
    memset(file + 8 + length, 0, 8);
    assert_int_equal(safetensors_parse(&s, file, 16 + length, "f", &err), ST_OK);
    assert_int_equal(safetensors_count(s), 1);
    safetensors_close(s);
    for (size_t size = 0; size < 16 + length; size++)
        assert_int_equal(safetensors_parse(&s, file, size, "f", &err), ST_CORRUPT);
    for (size_t i = 8; i < 8 + length - 3; i++) {
        unsigned char was = file[i];
        file[i] = 1;
        assert_int_not_equal(safetensors_parse(&s, file, 16 + length, "f", &err), ST_OK);
        file[i] = was;
    }
}

static void load_bytes(const char *header, const void *data, size_t data_size, enum status want,
                       const char *text) {
    unsigned char bytes[2048];
    uint64_t length = strlen(header);
    const size_t two[] = {2};
    struct nn_params p;
    struct err err = {0};
    memcpy(bytes, &length, 8);
    memcpy(bytes + 8, header, length);
    memcpy(bytes + 8 + length, data, data_size);
    assert_int_equal(nn_params_init(&p, 1, &err), ST_OK);
    assert_int_equal(nn_params_add(&p, "a", true, 1, two), ST_OK);
    assert_int_equal(nn_params_place(&p, false, &err), ST_OK);
    p.value[0] = 5;
    enum status st = nn_params_parse(&p, bytes, 8 + length + data_size, "f", &err);
    assert_int_equal(st, want);
    if (st == ST_OK) {
        assert_true(p.value[0] == (nn_real)-1.5 && p.value[1] == (nn_real)0.25);
    } else {
        assert_string_equal(err.text, text);
        assert_true(p.value[0] == 5);
    }
    nn_params_free(&p);
}

static void test_types_and_mismatches(void **state) {
    (void)state;
    const float f32[] = {-1.5f, 0.25f}, bad[] = {-1.5f, NAN};
    const double f64[] = {-1.5, 0.25}, huge[] = {1, 1e300};
    const uint16_t f16[] = {0xBE00, 0x3400}, bf16[] = {0xBFC0, 0x3E80};
    load_bytes("{\"a\":" T("F32", "[2]", "0", "8") "}", f32, 8, ST_OK, "");
    load_bytes("{\"a\":" T("F64", "[2]", "0", "16") "}", f64, 16, ST_OK, "");
    load_bytes("{\"a\":" T("F16", "[2]", "0", "4") "}", f16, 4, ST_OK, "");
    load_bytes("{\"a\":" T("BF16", "[2]", "0", "4") "}", bf16, 4, ST_OK, "");
    load_bytes("{\"a\":" T("F32", "[2]", "0", "8") "}", bad, 8, ST_CORRUPT, "f: a: value 1 is nan");
    load_bytes("{\"a\":" T("F64", "[2]", "0", "16") "}", huge, 16, ST_CORRUPT,
               "f: a: value 1 is 1e+300");
    load_bytes("{\"a\":" T("I64", "[2]", "0", "16") "}", f64, 16, ST_MISMATCH,
               "f: a has type I64, the network's is F32");
    load_bytes("{\"a\":" T("F32", "[2,1]", "0", "8") "}", f32, 8, ST_MISMATCH,
               "f: a has shape [2, 1], the network's is [2]");
    load_bytes("{\"b\":" T("F32", "[2]", "0", "8") "}", f32, 8, ST_NOT_FOUND,
               "f: tensor a is missing");
    load_bytes("{\"a\":" T("F32", "[1]", "0", "4") ",\"b\":" T("F32", "[1]", "4", "8") "}", f32, 8,
               ST_MISMATCH, "f: a has shape [1], the network's is [2]");
    load_bytes("{\"a\":" T("F32", "[2]", "0", "8") ",\"b\":" T("F32", "[0]", "8", "8") "}", f32, 8,
               ST_MISMATCH, "f: tensor b is none of the network's");
}

/* Every half: against the definition, sign * 2^(e-15) * 1.f, subnormals without the one. */
static void test_halves(void **state) {
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        uint16_t bits = (uint16_t)h;
        double have, want = ldexp(1 + (h & 1023) / 1024.0, (int)((h >> 10) & 31) - 15);
        struct safetensor t = {.dtype = "F16", .count = 1, .data = &bits};
        if (((h >> 10) & 31) == 0) want = ldexp(h & 1023, -24);
        if (((h >> 10) & 31) == 31) want = h & 1023 ? NAN : INFINITY;
        if (h & 0x8000) want = -want;
        assert_int_equal(safetensor_f64(&have, &t), ST_OK);
        if (isnan(want) ? !isnan(have) : memcmp(&have, &want, sizeof want) != 0)
            fail_msg("%04x: %g, want %g", h, have, want);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_refuses_what_does_not_hold),
        cmocka_unit_test(test_refuses_hostile_lengths),
        cmocka_unit_test(test_types_and_mismatches),
        cmocka_unit_test(test_halves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
