#include "store/import_name.h"

#include <string.h>

#include "base/tstamp.h"

enum { FOLDERS_MAX = 4, WORD_SIZE = 32 };

bool import_interval_is_known(int64_t ns) {
    static const int64_t known[] = {NS_PER_SECOND,     NS_PER_MINUTE,      3 * NS_PER_MINUTE,
                                    5 * NS_PER_MINUTE, 15 * NS_PER_MINUTE, 30 * NS_PER_MINUTE,
                                    NS_PER_HOUR,       2 * NS_PER_HOUR,    4 * NS_PER_HOUR,
                                    6 * NS_PER_HOUR,   8 * NS_PER_HOUR,    12 * NS_PER_HOUR,
                                    NS_PER_DAY};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i] == ns) return true;
    return false;
}

static bool ends_with(const char *name, const char *suffix) {
    size_t n = strlen(name), k = strlen(suffix);
    return n > k && strcmp(name + n - k, suffix) == 0;
}

bool import_name_is_known(const char *name) {
    static const char suffixes[][12] = {".csv",      ".csv.zst", ".csv.gz", ".json",
                                        ".json.zst", ".json.gz", ".zip"};
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        if (ends_with(name, suffixes[i])) return true;
    return false;
}

/* Five, so that "1M" or a coin in a folder's name is none; '_' for delivery contracts. */
static bool is_symbol(const char *word) {
    size_t n = strlen(word), letters = 0;
    for (const char *p = word; *p; p++) {
        bool letter = *p >= 'A' && *p <= 'Z', digit = *p >= '0' && *p <= '9';
        if (!letter && !digit && *p != '_') return false;
        letters += letter;
    }
    return n >= 5 && n < SYMBOL_SIZE && letters >= 3;
}

static bool is(const char *word, const char *other) {
    return strcmp(word, other) == 0;
}

static void set_market(struct import_name *out, const char *market) {
    if (!out->market[0]) strcpy(out->market, market);
}

static void read_word(struct import_name *out, const char *word, bool in_file_name) {
    int64_t interval;
    if (in_file_name && !out->symbol[0] && is_symbol(word)) strcpy(out->symbol, word);
    if (is(word, "mark") || is(word, "markPriceKlines"))
        strcpy(out->market, "mark");
    else if (is(word, "spot"))
        set_market(out, "spot");
    else if (is(word, "um") || is(word, "futures"))
        set_market(out, "um");
    else if (is(word, "funding") || is(word, "fundingRate"))
        out->funding = true;
    else if (is(word, "indexPriceKlines") || is(word, "premiumIndexKlines"))
        out->unsupported = "index and premium-index klines have no place in the store";
    else if (is(word, "cm"))
        out->unsupported = "coin-margined contracts are not supported";
    else if (is(word, "1w") || is(word, "1M") || is(word, "3d") || is(word, "1mo"))
        out->unsupported = "bars longer than a day are not supported";
    else if (!out->interval_ns && tstamp_interval_parse(&interval, word) == ST_OK &&
             import_interval_is_known(interval))
        out->interval_ns = interval;
}

/* One path component, word by word. */
static void read_part(struct import_name *out, const char *part, size_t size, bool in_file_name) {
    for (size_t i = 0; i < size;) {
        char word[WORD_SIZE];
        size_t k = 0;
        while (i + k < size && part[i + k] != '-' && part[i + k] != '.') k++;
        if (k > 0 && k < sizeof word) {
            memcpy(word, part + i, k);
            word[k] = '\0';
            read_word(out, word, in_file_name);
        }
        i += k + 1;
    }
}

/* From the back: file name, then its folders. */
static void read_path(struct import_name *out, const char *path) {
    size_t end = strlen(path);
    for (int depth = 0; depth <= FOLDERS_MAX && end > 0; depth++) {
        size_t begin = end;
        while (begin > 0 && path[begin - 1] != '/') begin--;
        read_part(out, path + begin, end - begin, depth == 0);
        end = begin > 0 ? begin - 1 : 0;
    }
}

void import_name_parse(struct import_name *out, const char *path, const char *entry) {
    *out = (struct import_name){0};
    if (entry) read_path(out, entry);
    read_path(out, path);
}
