/* Used by config*.c only. */
#ifndef FORECAST_CONFIG_INTERNAL_H
#define FORECAST_CONFIG_INTERNAL_H

#include "forecast/config.h"

enum option_kind { OPTION_COUNT = 0, OPTION_FLAG, OPTION_REAL, OPTION_CHOICE };
enum { OPTION_NAMES_MAX = 10 };

/* One plain option: where it stands, and for a choice the names of its values, by number; names may come twice, separated by '|',
 * the first is written. */
struct option_field {
    const char *name;
    enum option_kind kind;
    size_t offset; /* in struct forecast_config */
    const char *names[OPTION_NAMES_MAX];
};
extern const struct option_field config_nhits_fields[];
extern const size_t config_nhits_field_count;

/* The lists of N-HiTS: a value per stack, or pairs. */
struct nhits_lists {
    const char *first; /* the list that said how many stacks there are; NULL: none has */
};
/* ST_END: no such list. ST_INVALID. */
enum status config_nhits_list_set(struct nhits_config *c, struct nhits_lists *lists,
                                  const char *name, const char *value, struct err *err);
extern const char *const config_nhits_list_names[];
extern const size_t config_nhits_list_count;

/* Text that grows in a buffer; over: it did not fit. */
struct config_text {
    char *out;
    size_t size, used;
    bool over;
};
void config_print(struct config_text *t, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* ",name=value" of each list. */
void config_nhits_list_text(struct config_text *t, const struct nhits_config *c);
/* A number in [lo, hi] that ends at *end; false else. */
bool config_count_parse(uint32_t *out, const char **at, uint32_t lo, uint32_t hi);

#endif
