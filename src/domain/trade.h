/* A closed trade: from flat to flat on one symbol. Every number is from fills and funding events. */
#ifndef DOMAIN_TRADE_H
#define DOMAIN_TRADE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fx.h"
#include "domain/instrument.h"
#include "domain/order.h"

/* X(reason, text): why the position ended. */
#define EXIT_REASON_TABLE(X)                                                                       \
    X(EXIT_NONE, "none")                                                                           \
    X(EXIT_STOP, "stop_loss")                                                                      \
    X(EXIT_TAKE_PROFIT, "take_profit")                                                             \
    X(EXIT_TIME, "time_stop")                                                                      \
    X(EXIT_UNPROTECTED, "unprotected") /* the stop could not be confirmed: closed at market */     \
    X(EXIT_SIGNAL, "signal")           /* the rule itself asked for it */                          \
    X(EXIT_LIQUIDATION, "liquidation")                                                             \
    X(EXIT_END_OF_DATA, "end_of_data") /* the tape ended or the contract died */                   \
    X(EXIT_OPERATOR, "operator")                                                                   \
    X(EXIT_EDGE_GONE, "edge_gone")   /* the models say the other side */                           \
    X(EXIT_REGIME, "regime_changed") /* into one that does not suit how it is traded, in loss */   \
    X(EXIT_LOSS_GUARD, "loss_guard") /* a share of the margin is lost */                           \
    X(EXIT_STALE, "stale")           /* held for long, in loss */                                  \
    X(EXIT_REBALANCE, "rebalance")   /* the portfolio's caps: a rest not worth an order went too */

enum exit_reason {
#define EXIT_REASON_ENUM(name, text) name,
    EXIT_REASON_TABLE(EXIT_REASON_ENUM)
#undef EXIT_REASON_ENUM
        EXIT_REASON_COUNT
};
const char *exit_reason_text(enum exit_reason reason);

enum strategy_kind {
    STRATEGY_ENSEMBLE = 0,
    STRATEGY_MOMENTUM,
    STRATEGY_RANDOM,
    STRATEGY_SMA_CROSS,
    STRATEGY_COUNT
};
const char *strategy_text(enum strategy_kind kind); /* "ensemble" "momentum" "random" "sma_cross" */
bool strategy_find(enum strategy_kind *out,
                   const char *text); /* false: none of them, out as it was */

/* How a trade is managed: the number of one of brain/strategy's profiles, ARM_NONE for a rule that
 * brings its own. Kept equal to them where both are known (kernel/events.c). */
enum { ARM_NONE = 7 };

struct trade_closed {
    uint64_t trade_id;  /* 1, 2, 3 … within a run */
    uint64_t intent_id; /* the intent that opened it */
    char symbol[SYMBOL_SIZE];
    uint32_t instrument_index;
    uint8_t side;        /* of the entry */
    uint8_t exit_reason; /* enum exit_reason */
    uint8_t strategy;    /* enum strategy_kind */
    uint8_t leverage;
    int64_t entry_ts_ns, exit_ts_ns;  /* first entry fill, last exit fill */
    px_t entry_px, exit_px;           /* quantity-weighted averages, half-even */
    qty_t qty;                        /* total entered */
    money_t realized_pnl;             /* price difference, before costs, as booked by the venue */
    money_t fees;                     /* paid, >= 0 */
    money_t funding;                  /* received > 0, paid < 0 */
    money_t net_pnl;                  /* realized_pnl - fees + funding */
    money_t risk;                     /* loss at the first stop, >= 0: one R */
    int64_t time_to_protected_ns;     /* first entry fill to confirmed stop; -1 never */
    double confidence, expected_edge; /* as the signal said them; fractions */
    double drawdown_max; /* largest unrealised loss on the way / notional at entry, 0..1 */
    uint32_t arm;        /* of the intent */
    uint32_t targets;    /* targets that were reached */
};

#endif
