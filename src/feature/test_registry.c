/* The registry itself, its hash, and the page made from it.
 *
 * `feature_test_registry --markdown` prints the table of docs/features.md; `--write` puts it
 * there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "feature/feature_internal.h"

#ifndef FEATURE_DOC_PATH
#error "FEATURE_DOC_PATH names docs/features.md"
#endif

enum { DOC_SIZE_MAX = 1 << 17 };
static const char table_begin[] = "<!-- table: feature_test_registry --write -->\n";
static const char table_end[] = "<!-- end of table -->\n";

static void table_print(FILE *out) {
    static const char *const tolerance[] = {"exact", "epsilon", "converging"};
    fprintf(out, "| # | name | unit | range | warm-up | tolerance | version | on flat | on missing "
                 "| source |\n");
    fprintf(out, "|---|---|---|---|---|---|---|---|---|---|\n");
    for (uint32_t i = 0; i < feature_count(); i++) {
        const struct feature_desc *d = feature_at(i);
        fprintf(out, "| %u | `%s` | %s | %g … %g | %u | %s | %u | %s | %s | ", i, d->name, d->unit,
                (double)d->lo, (double)d->hi, d->warmup_bars, tolerance[d->tolerance], d->version,
                d->on_flat, d->on_missing);
        for (const char *p = d->source; *p; p++) fprintf(out, *p == '|' ? "\\%c" : "%c", *p);
        fprintf(out, " |\n");
    }
}

/* The whole page and where its table lies; caller frees. */
static char *doc_read(char **begin, char **end) {
    FILE *f = fopen(FEATURE_DOC_PATH, "rb");
    if (!f) return NULL;
    char *text = calloc(1, DOC_SIZE_MAX);
    size_t n = text ? fread(text, 1, DOC_SIZE_MAX - 1, f) : 0;
    fclose(f);
    *begin = n ? strstr(text, table_begin) : NULL;
    *end = *begin ? strstr(*begin, table_end) : NULL;
    if (*end) {
        *begin += sizeof table_begin - 1;
        return text;
    }
    free(text);
    return NULL;
}

static int doc_write(void) {
    char *begin = NULL, *end = NULL, *text = doc_read(&begin, &end);
    FILE *f = text ? fopen(FEATURE_DOC_PATH, "wb") : NULL;
    if (!f) {
        fprintf(stderr, "cannot rewrite %s\n", FEATURE_DOC_PATH);
        free(text);
        return 1;
    }
    fwrite(text, 1, (size_t)(begin - text), f);
    table_print(f);
    fputs(end, f);
    free(text);
    return fclose(f) != 0;
}

static void test_page_shows_the_registry(void **state) {
    (void)state;
    char *begin = NULL, *end = NULL, *text = doc_read(&begin, &end), *table = NULL;
    size_t size = 0;
    if (!text) {
        fail_msg("%s: cannot be read, or its table markers are gone", FEATURE_DOC_PATH);
        return;
    }
    FILE *f = open_memstream(&table, &size);
    assert_non_null(f);
    table_print(f);
    fclose(f);
    if (!table || (size_t)(end - begin) != size || memcmp(begin, table, size) != 0)
        fail_msg(
            "docs/features.md is not what the registry prints: run feature_test_registry --write");
    free(table);
    free(text);
}

static void test_rows_are_whole(void **state) {
    (void)state;
    for (uint32_t i = 0; i < feature_count(); i++) {
        const struct feature_desc *d = feature_at(i);
        assert_true(d->name && d->name[0] && d->unit[0] && d->on_flat[0] && d->on_missing[0] &&
                    d->source[0]);
        assert_int_equal(strspn(d->name, "abcdefghijklmnopqrstuvwxyz0123456789_"), strlen(d->name));
        assert_true(d->lo < d->hi && d->version >= 1);
        assert_in_range(d->tolerance, FEATURE_EXACT, FEATURE_CONVERGING);
        for (uint32_t j = 0; j < i; j++) assert_string_not_equal(d->name, feature_at(j)->name);
    }
}

static void test_count_and_warmup(void **state) {
    (void)state;
    uint32_t most = 0;
    for (uint32_t i = 0; i < FEATURE_OWN_COUNT; i++)
        if (feature_at(i)->warmup_bars > most) most = feature_at(i)->warmup_bars;
    assert_int_equal(feature_count(), FEATURE_COUNT);
    assert_true(feature_count() <= FEATURE_COUNT_MAX && most > 0);
    assert_int_equal(feature_warmup_bars(), most);
    assert_string_equal(feature_at(FEATURE_ATR_FRACTION)->name, "atr_fraction");
    assert_string_equal(feature_at(FEATURE_COUNT - 1)->name, "market_breadth_24");
}

static void test_hash_knows_names_order_and_versions(void **state) {
    (void)state;
    struct feature_desc rows[FEATURE_COUNT];
    for (uint32_t i = 0; i < FEATURE_COUNT; i++) rows[i] = *feature_at(i);
    const uint64_t hash = feature_list_hash();
    assert_int_equal(feature_hash_rows(rows, FEATURE_COUNT), hash);
    assert_int_not_equal(feature_hash_rows(rows, FEATURE_COUNT - 1), hash);
    for (uint32_t i = 0; i + 1 < FEATURE_COUNT; i++) {
        struct feature_desc kept = rows[i];
        rows[i] = rows[i + 1];
        rows[i + 1] = kept;
        assert_int_not_equal(feature_hash_rows(rows, FEATURE_COUNT), hash);
        rows[i + 1] = rows[i];
        rows[i] = kept;
        rows[i].version++;
        assert_int_not_equal(feature_hash_rows(rows, FEATURE_COUNT), hash);
        rows[i] = kept;
        rows[i].name = "renamed";
        assert_int_not_equal(feature_hash_rows(rows, FEATURE_COUNT), hash);
        rows[i] = kept;
    }
    assert_int_equal(feature_hash_rows(rows, FEATURE_COUNT), hash);
}

static void test_atr_is_read_from_its_column(void **state) {
    (void)state;
    float row[FEATURE_COUNT] = {0};
    row[FEATURE_ATR_FRACTION] = 0.0125F;
    assert_float_equal(feature_atr_fraction(row), 0.0125F, 0);
}

static void test_series_is_one_plain_block(void **state) {
    (void)state;
    assert_int_equal(feature_series_size(), sizeof(struct feature_series));
    assert_int_equal(feature_series_size() % 64, 0);
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--markdown") == 0) {
        table_print(stdout);
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "--write") == 0) return doc_write();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_are_whole),
        cmocka_unit_test(test_count_and_warmup),
        cmocka_unit_test(test_hash_knows_names_order_and_versions),
        cmocka_unit_test(test_atr_is_read_from_its_column),
        cmocka_unit_test(test_series_is_one_plain_block),
        cmocka_unit_test(test_page_shows_the_registry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
