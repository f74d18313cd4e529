/* What both halves of the codec read alike. */
#ifndef VENUE_BINANCE_CODEC_INTERNAL_H
#define VENUE_BINANCE_CODEC_INTERNAL_H

#include "venue/binance/codec.h"

/* Milliseconds to ns; nonsense (before 1970, after 2262) is an error of the reader. */
int64_t binance_read_ms(struct json_reader *r);
/* A decimal, quoted or not; "" and null are 0; digits beyond the eighth are cut. */
int64_t binance_read_decimal(struct json_reader *r);
/* An id: number, string of one, "" or null (0). Negative is an error. */
uint64_t binance_read_id(struct json_reader *r);
/* The symbol, "" if it does not fit. */
void binance_read_symbol(struct json_reader *r, char out[SYMBOL_SIZE]);
/* Text that does not fit, or is no string, is an error of the reader. */
void binance_read_text(struct json_reader *r, char *out, size_t out_size);
/* Spellings; one that is not known is 0 for statuses and an error for sides and types. */
uint8_t binance_read_side(struct json_reader *r);
uint8_t binance_read_order_type(struct json_reader *r);
uint8_t binance_read_status(struct json_reader *r);
uint8_t binance_read_algo_status(struct json_reader *r);
/* true, false, or a string of one. */
bool binance_read_bool(struct json_reader *r);
/* Price and quantity above 0, and amounts that a fill of any venue can have: below 1e10 quote units, as sums of them
 * must stay in range. */
bool binance_fill_is_possible(px_t px, qty_t qty, money_t commission, money_t realized_pnl);
/* The first error sticks. */
void binance_reader_fail(struct json_reader *r, const char *error);

/* Fields are one letter long where speed matters; '\0' for the others. */
static inline char binance_letter(const struct json_text *key) {
    return key->size == 1 ? key->data[0] : '\0';
}

/* Bits of fields that a kind must have. */
enum { HAS_ID = 1, HAS_PX = 2, HAS_QTY = 4, HAS_BODY = 8, HAS_SYMBOL = 16, HAS_SIDE = 32 };

struct decode {
    struct json_reader *r;
    struct stream_event *out;
    uint32_t has;
};

/* The fields of the kinds of user data, by key (codec_user.c). */
void binance_decode_order(struct decode *d, const struct json_text *key);
void binance_decode_algo(struct decode *d, const struct json_text *key);
void binance_decode_account(struct decode *d, const struct json_text *key);

#endif
