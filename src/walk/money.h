/* What a run earned, from its journal of trades: daily returns, trades, orders against the market they met. */
#ifndef WALK_MONEY_H
#define WALK_MONEY_H

#include "backtest/report.h"
#include "walk/capacity.h"
#include "walk/paper.h"

struct walk_run {
    struct report report;
    struct walk_days days; /* change of equity from the end of one day to the next */
    struct trade_closed *trades;
    size_t trade_count;
};
/* path: trades.sqlite of a run that ended or was stopped. days from from_ns to to_ns. Free with walk_run_free. */
enum status walk_run_read(struct walk_run *out, const char *path, int64_t from_ns, int64_t to_ns,
                          struct err *err);
void walk_run_free(struct walk_run *run);

/* Equity of a day's last point against that of the day before; wallet_start before the first. A day without points
 * keeps its predecessor's. A point at midnight ends the day before. points ascend. */
void walk_days_equity(struct walk_days *out, const struct equity_point *points, size_t n,
                      double wallet_start);

/* As the dice and the capacity take them. out (run->trade_count). Equity at entry is that of the start plus what trades
 * closed before had earned. */
void walk_run_dice_trades(struct walk_trade *out, const struct walk_run *run);
/* Entry and exit of each trade; what the day before it traded and by how much its price varied, from the bars. out (2
 * trade_count). series (count) by index of the instrument. */
void walk_run_orders(struct walk_order *out, const struct walk_run *run,
                     const struct learn_series *series, size_t count, int64_t interval_ns);
/* Notional of all entries and exits / equity at the start / years. */
double walk_run_turnover(const struct walk_run *run, double days);

#endif
