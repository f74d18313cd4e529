/* UBJSON: forms of it that XGBoost does not write, and what hostile lengths do. */
#include "base/json.h"
#include "ml/model_io/test_model_made.h"

/* ---- UBJSON's other forms ---- */

struct bytes {
    unsigned char data[TEXT_SIZE];
    size_t size;
};

static void put(struct bytes *b, int byte) {
    assert_true(b->size < sizeof b->data);
    b->data[b->size++] = (unsigned char)byte;
}

static void put_big_endian(struct bytes *b, uint64_t bits, int width) {
    for (int i = width - 1; i >= 0; i--) put(b, (int)(bits >> (8 * i) & 0xFF));
}

/* A length in whichever type is next in turn. */
static void put_length(struct bytes *b, size_t size) {
    static const char types[] = "iUIlL";
    static const int widths[] = {1, 1, 2, 4, 8};
    size_t turn = b->size % 5;
    put(b, types[turn]);
    put_big_endian(b, size, widths[turn]);
}

static void put_text(struct bytes *b, const struct json_text *text) {
    for (size_t i = 0; i < text->size; i++) put(b, text->data[i]);
}

static void put_number(struct bytes *b, const struct json_text *text) {
    double value = strtod(text->data, NULL);
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (value != floor(value)) {
        put(b, 'D');
        put_big_endian(b, bits, 8);
    } else if (value >= -128 && value <= 127) {
        put(b, 'i');
        put(b, (int)value & 0xFF);
    } else {
        put(b, 'l');
        put_big_endian(b, (uint64_t)(int64_t)value, 4);
    }
}

/* JSON as UBJSON without counts or types, no-ops in between. */
static void put_value(struct bytes *b, struct json_reader *r) {
    struct json_text text;
    put(b, 'N');
    switch (json_peek(r)) {
    case JSON_OBJECT:
        put(b, '{');
        json_object_begin(r);
        while (json_object_next(r, &text)) {
            put_length(b, text.size);
            put_text(b, &text);
            put_value(b, r);
        }
        put(b, '}');
        break;
    case JSON_ARRAY:
        put(b, '[');
        json_array_begin(r);
        while (json_array_next(r)) put_value(b, r);
        put(b, ']');
        break;
    case JSON_STRING:
        text = json_string(r);
        put(b, text.size == 1 ? 'C' : 'S');
        if (text.size != 1) put_length(b, text.size);
        put_text(b, &text);
        break;
    default:
        text = json_number(r);
        put_number(b, &text);
    }
}

static void plain_ubj(struct bytes *b, const char *json) {
    struct json_reader r;
    json_reader_init(&r, json, strlen(json));
    b->size = 0;
    put_value(b, &r);
    assert_int_equal(json_finish(&r), ST_OK);
    /* The format is told by the first bytes: no no-op there. */
    memmove(b->data, b->data + 1, --b->size);
}

static void test_ubj_plain_forms(void **state) {
    (void)state;
    static struct bytes b;
    struct err err = {0};
    struct tree_model *m;
    size_t size, want_size;
    plain_ubj(&b, xgb_text);
    if (model_parse(&m, b.data, b.size, "plain", &err) != ST_OK) fail_msg("%s", err.text);
    check_base(m);
    char *again = print(m, MODEL_XGBOOST_JSON, &size);
    struct tree_model *j = parse(xgb_text);
    char *want = print(j, MODEL_XGBOOST_JSON, &want_size);
    assert_string_equal(again, want);
    free(again);
    free(want);
    tree_model_destroy(j);
    tree_model_destroy(m);
}

/* Every cut of a file is an error that says where; so is every byte behind it. */
static void test_ubj_cuts(void **state) {
    (void)state;
    struct tree_model *m = parse(xgb_text), *none;
    size_t size;
    struct err err = {0};
    char *ubj = print(m, MODEL_XGBOOST_UBJ, &size);
    for (size_t cut = 2; cut < size; cut++) {
        char *exact = malloc(cut);
        assert_non_null(exact);
        memcpy(exact, ubj, cut);
        refused(exact, cut, ST_CORRUPT, "byte ", ": ");
        free(exact);
    }
    ubj[size] = 'x'; /* over the NUL */
    assert_int_equal(model_parse(&none, ubj, size + 1, "tail", &err), ST_CORRUPT);
    assert_non_null(strstr(err.text, "bytes behind the model"));
    free(ubj);
    tree_model_destroy(m);
}

/* Lengths and counts that no bytes are behind. */
static void test_ubj_hostile_counts(void **state) {
    (void)state;
    static const struct {
        const char *bytes, *words;
        size_t size;
    } cases[] = {
        {"{L\x7f\xff\xff\xff\xff\xff\xff\xff", "longer than the file", 10},
        {"{l\xff\xff\xff\xff", "negative", 6},
        {"{U\1x[$Z#l\x7f\xff\xff\xff", "type is not one", 11},
        {"{U\7learner[$d#l\x7f\xff\xff\xff", "expected an object", 17},
        {"{U\1x[$d#l\x7f\xff\xff\xff", "unexpected end", 11},
        {"{U\1x[$[#l\x7f\xff\xff\xff]]]", "unexpected end", 14},
        {"{U\1x[$i]", "no count", 8},
        {"{U\1xq", "expected a number", 5},
        {"{U\1xSd", "not an integer", 6},
        {"{U\3x\0y", "NUL", 6},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refused(cases[i].bytes, cases[i].size, ST_CORRUPT, "byte ", cases[i].words);
    char deep[256] = "{U\1x";
    memset(deep + 4, '[', sizeof deep - 4);
    refused(deep, sizeof deep, ST_CORRUPT, "byte ", "nested too deeply");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ubj_plain_forms),
        cmocka_unit_test(test_ubj_cuts),
        cmocka_unit_test(test_ubj_hostile_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
