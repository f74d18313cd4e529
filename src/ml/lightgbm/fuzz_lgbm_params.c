/* Parameters from any text: no crash, and what was taken is within its ranges, prints, and is taken again. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "ml/lightgbm/lgbm_internal.h"
#include "ml/model_io/model_io.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { COLUMNS = 4, TEXT_MAX = 4096 };

static void print_and_take_again(const struct lgbm_params *p) {
    struct err err;
    struct lgbm_params again;
    struct tree_model *m = tree_model_create(TREES_LIGHTGBM, 1, COLUMNS);
    if (!m) return;
    lgbm_params_init(&again);
    ASSERT(lgbm_params_print(m, p, &err) == ST_OK);
    for (uint32_t i = 0; i < m->attribute_count; i++)
        ASSERT(lgbm_params_set(&again, m->attributes[i].key, m->attributes[i].value, COLUMNS, NULL,
                               &err) == ST_OK);
    ASSERT(again.num_leaves == p->num_leaves && again.objective == p->objective);
    lgbm_params_free(&again);
    tree_model_destroy(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const names[COLUMNS] = {"open", "high", "low", "close"};
    char text[TEXT_MAX + 1];
    struct err err;
    struct lgbm_params p;
    if (size > TEXT_MAX) return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    lgbm_params_init(&p);
    enum status st = lgbm_params_parse(&p, text, COLUMNS, names, &err);
    ASSERT(st == ST_OK || st == ST_INVALID || st == ST_NOT_FOUND || st == ST_UNSUPPORTED);
    if (st == ST_OK && (lgbm_params_check(&p, true, &err) == ST_OK || p.objective == LGBM_CUSTOM))
        print_and_take_again(&p);
    lgbm_params_free(&p);
    return 0;
}
