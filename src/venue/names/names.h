/* The venue's vocabulary: spellings of enumerations, candle intervals, error codes and their texts.
 *
 * Source   Binance USD-M documentation; docs/venue.md says where each comes from. Pure. */
#ifndef VENUE_NAMES_NAMES_H
#define VENUE_NAMES_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "domain/order.h"

/* Each text_of gives the venue's spelling, each find returns -1 for none */

enum venue_position_side { POSITION_BOTH = 0, POSITION_LONG, POSITION_SHORT, POSITION_SIDE_COUNT };
enum venue_stp { STP_NONE = 0, STP_EXPIRE_TAKER, STP_EXPIRE_MAKER, STP_EXPIRE_BOTH };
enum venue_price_match {
    PRICE_MATCH_NONE = 0,
    PRICE_MATCH_OPPONENT,
    PRICE_MATCH_OPPONENT_5,
    PRICE_MATCH_OPPONENT_10,
    PRICE_MATCH_OPPONENT_20,
    PRICE_MATCH_QUEUE,
    PRICE_MATCH_QUEUE_5,
    PRICE_MATCH_QUEUE_10,
    PRICE_MATCH_QUEUE_20
};
int venue_side_find(const char *text);          /* enum side */
int venue_order_type_find(const char *text);    /* enum order_type */
int venue_tif_find(const char *text);           /* enum time_in_force */
int venue_working_type_find(const char *text);  /* enum working_type */
int venue_position_side_find(const char *text); /* enum venue_position_side */
int venue_stp_find(const char *text);
int venue_price_match_find(const char *text);
const char *venue_working_type_text(int v);
const char *venue_position_side_text(int v);
const char *venue_stp_text(int v);
const char *venue_price_match_text(int v);
/* 1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d 3d 1w 1M, in this order 0..14. */
enum { VENUE_INTERVALS = 15 };
int venue_interval_find(const char *text);
const char *venue_interval_text(int index);
/* Length in ns; 0 for 1M (calendar). */
int64_t venue_interval_ns(int index);
/* Start of the interval that holds ts (1w starts on Monday, 3d from the epoch, 1M by calendar, UTC). */
int64_t venue_interval_open(int index, int64_t ts_ns);
/* True if it fits ^[\.A-Z\:/a-z0-9_-]{1,36}$ */
bool venue_client_id_is_valid(const char *text, size_t size);

/* ---- errors */

/* The documented text of a code ("Margin is insufficient."), with at most one %s; NULL if unknown. Where
 * the venue's text has several variables, the one %s stands for everything from the first to the last:
 * -1015 takes "300 orders per 10 SECOND". */
const char *venue_error_text(int code);
/* The second documented text of a code that has two, else NULL. */
const char *venue_error_text_alt(int code);
/* HTTP status that goes with a code: 400 unless the documentation says otherwise. (-1003 is 429; the ban
 * that goes with its second text is 418, which only the caller knows.) */
int venue_error_http(int code);
/* The i-th known code, in descending order (-1000 first); 0 behind the last. */
int venue_error_code(size_t i);

#endif
