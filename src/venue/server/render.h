/* JSON of orders and of numbers as the venue writes them. */
#ifndef VENUE_SERVER_RENDER_H
#define VENUE_SERVER_RENDER_H

#include "base/json.h"
#include "venue/exchange/exchange.h"

/* "12.50": at least `decimals` digits behind the point, more if the value has more; no digit is lost. */
void render_decimal(struct json_writer *w, int64_t e8, int decimals);

/* key and value in one, since most of what is written is that */
void render_key_decimal(struct json_writer *w, const char *key, int64_t e8, int decimals);
void render_key_text(struct json_writer *w, const char *key, const char *text);
void render_key_i64(struct json_writer *w, const char *key, int64_t value);
void render_key_u64(struct json_writer *w, const char *key, uint64_t value);
void render_key_bool(struct json_writer *w, const char *key, bool value);

/* Digits behind the point that e8 needs; 8 for 0, which is a grid that is not there. */
int render_decimals(int64_t e8);
/* Digits behind the point of a contract's prices and quantities (of its tick and step). */
int render_px_decimals(const struct instrument *in);
int render_qty_decimals(const struct instrument *in);

enum render_order_form {
    RENDER_ACK = 0,     /* placed: no average, no creation time */
    RENDER_ACK_AVERAGE, /* the same before 2026-07-14: with avgPrice and cumQuote */
    RENDER_QUERY,       /* avgPrice, cumQuote, time */
    RENDER_CANCELED,    /* an acknowledgement with activatePrice and priceRate */
    RENDER_CANCELED_AVERAGE
};
/* The members of the object; the caller opens and closes it. algo: that it came from, for a trailing one's
 * activatePrice and priceRate, may be NULL. */
void render_order(struct json_writer *w, const struct instrument *in,
                  const struct exchange_order *o, enum render_order_form form,
                  const struct exchange_algo *algo);
/* Average price of fills, half-even; 0 without any. */
px_t render_average(money_t quote, qty_t qty);
const char *render_order_status(uint8_t status); /* "PARTIALLY_FILLED" */
const char *render_algo_status(uint8_t status);  /* "TRIGGERING" */

/* with_actual: the members that queries add. */
void render_algo(struct json_writer *w, const struct instrument *in, const struct exchange_algo *a,
                 bool with_actual);
#endif
