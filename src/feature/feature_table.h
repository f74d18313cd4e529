/* The feature registry: one row a column. The enum, the descriptors, the hash in every model file
 * and docs/features.md all come from here.
 *
 * X(id, name, unit, lo, hi, warm-up bars, tolerance, version, on flat, on missing, source)
 *
 * Values beyond lo..hi are clamped to it. Warm-up is the number of base bars before the first known
 * value, for folds with the least lucky alignment. "on flat" is the value on a constant series (same
 * price, volume, trade count, balanced takers). "on missing" is the value where taker share, trade
 * count or traded volume is missing; "n/a" where a bar has all that is needed. A changed formula gets
 * the next version; a name is never reused for something else. In sources, "original" is the column
 * of the system this one replaces; "here" marks the project's own definition. */
#ifndef FEATURE_FEATURE_TABLE_H
#define FEATURE_FEATURE_TABLE_H

#define FEATURE_OWN_TABLE(X)                                                                       \
    /* one bar */                                                                                  \
    X(PRICE_CHANGE, "price_change", "fraction", -1, 10, 1, EXACT, 1, "0", "n/a",                   \
      "close / previous close - 1; original price_change")                                         \
    X(LOG_RETURN_1, "log_return_1", "log", -5, 5, 1, EXACT, 1, "0", "n/a",                         \
      "ln(close / previous close); original log returns")                                          \
    X(HIGH_LOW_RANGE, "high_low_range", "fraction", 0, 10, 0, EXACT, 1, "0", "n/a",                \
      "(high - low) / close; original high_low_range")                                             \
    X(CANDLE_BODY, "candle_body", "-1..1", -1, 1, 0, EXACT, 1, "0", "n/a",                         \
      "(close - open) / (high - low), 0 if high = low; original body")                             \
    X(UPPER_WICK, "upper_wick", "0..1", 0, 1, 0, EXACT, 1, "0", "n/a",                             \
      "(high - max(open, close)) / (high - low), 0 if high = low; original upper wick")            \
    X(LOWER_WICK, "lower_wick", "0..1", 0, 1, 0, EXACT, 1, "0", "n/a",                             \
      "(min(open, close) - low) / (high - low), 0 if high = low; original lower wick")             \
    X(GAP, "gap", "fraction", -1, 10, 1, EXACT, 1, "0", "n/a",                                     \
      "open / previous close - 1; original gaps")                                                  \
    X(ACCELERATION, "acceleration", "log", -10, 10, 2, EXACT, 1, "0", "n/a",                       \
      "log return - previous log return; original acceleration")                                   \
    X(CANDLE_DOJI, "candle_doji", "flag", 0, 1, 0, EXACT, 1, "0", "n/a",                           \
      "1 if |body| <= 0.1 range > 0; Nison 1991, original doji")                                   \
    X(CANDLE_HAMMER, "candle_hammer", "flag", -1, 1, 0, EXACT, 1, "0", "n/a",                      \
      "1 if lower wick >= 2 body >= upper wick, -1 mirrored, body > 0; Nison 1991, original "      \
      "hammer")                                                                                    \
    X(CANDLE_ENGULFING, "candle_engulfing", "flag", -1, 1, 1, EXACT, 1, "0", "n/a",                \
      "1 if a rising body holds the previous falling one, -1 mirrored; Nison 1991, original "      \
      "engulfing")                                                                                 \
    /* momentum */                                                                                 \
    X(MOMENTUM_3, "momentum_3", "fraction", -1, 20, 3, EXACT, 1, "0", "n/a",                       \
      "close / close 3 bars ago - 1 (rate of change)")                                             \
    X(MOMENTUM_5, "momentum_5", "fraction", -1, 20, 5, EXACT, 1, "0", "n/a",                       \
      "close / close 5 bars ago - 1; original ROC, momentum 5")                                    \
    X(MOMENTUM_10, "momentum_10", "fraction", -1, 20, 10, EXACT, 1, "0", "n/a",                    \
      "close / close 10 bars ago - 1; original momentum_10")                                       \
    X(MOMENTUM_20, "momentum_20", "fraction", -1, 20, 20, EXACT, 1, "0", "n/a",                    \
      "close / close 20 bars ago - 1; original momentum_20")                                       \
    X(RETURN_24, "return_24", "fraction", -1, 20, 24, EXACT, 1, "0", "n/a",                        \
      "close / close 24 bars ago - 1")                                                             \
    X(RETURN_96, "return_96", "fraction", -1, 50, 96, EXACT, 1, "0", "n/a",                        \
      "close / close 96 bars ago - 1")                                                             \
    /* trend */                                                                                    \
    X(EMA_10_DISTANCE, "ema_10_distance", "fraction", -1, 10, 9, CONVERGING, 1, "0", "n/a",        \
      "close / EMA(10) - 1, EMA begun with the mean of its first bars; original ema_10")           \
    X(EMA_20_DISTANCE, "ema_20_distance", "fraction", -1, 10, 19, CONVERGING, 1, "0", "n/a",       \
      "close / EMA(20) - 1; original ema_20")                                                      \
    X(EMA_50_DISTANCE, "ema_50_distance", "fraction", -1, 20, 49, CONVERGING, 1, "0", "n/a",       \
      "close / EMA(50) - 1; original ema_50")                                                      \
    X(EMA_200_DISTANCE, "ema_200_distance", "fraction", -1, 50, 199, CONVERGING, 1, "0", "n/a",    \
      "close / EMA(200) - 1; original ema_200")                                                    \
    X(EMA_10_20_CROSS, "ema_10_20_cross", "fraction", -1, 5, 19, CONVERGING, 1, "0", "n/a",        \
      "EMA(10) / EMA(20) - 1; original ema_10_20_cross")                                           \
    X(EMA_10_50_CROSS, "ema_10_50_cross", "fraction", -1, 5, 49, CONVERGING, 1, "0", "n/a",        \
      "EMA(10) / EMA(50) - 1; original ema_10_50_cross")                                           \
    X(SMA_20_DISTANCE, "sma_20_distance", "fraction", -1, 20, 19, EXACT, 1, "0", "n/a",            \
      "close / mean of 20 closes - 1; original SMA 20")                                            \
    X(SMA_50_DISTANCE, "sma_50_distance", "fraction", -1, 50, 49, EXACT, 1, "0", "n/a",            \
      "close / mean of 50 closes - 1; original SMA 50")                                            \
    X(MACD, "macd", "fraction", -1, 1, 25, CONVERGING, 1, "0", "n/a",                              \
      "(EMA(12) - EMA(26)) / close; Appel; original macd")                                         \
    X(MACD_SIGNAL, "macd_signal", "fraction", -1, 1, 33, CONVERGING, 1, "0", "n/a",                \
      "EMA(9) of EMA(12) - EMA(26), / close; original macd_signal")                                \
    X(MACD_HIST, "macd_hist", "fraction", -1, 1, 33, CONVERGING, 1, "0", "n/a",                    \
      "macd - macd_signal; original macd_hist")                                                    \
    X(ADX_14, "adx_14", "0..100", 0, 100, 27, CONVERGING, 1, "0", "n/a",                           \
      "Wilder 1978 average directional index; original ADX")                                       \
    X(PLUS_DI_14, "plus_di_14", "0..100", 0, 100, 14, CONVERGING, 1, "0", "n/a",                   \
      "Wilder 1978 +DI; original DI")                                                              \
    X(MINUS_DI_14, "minus_di_14", "0..100", 0, 100, 14, CONVERGING, 1, "0", "n/a",                 \
      "Wilder 1978 -DI; original DI")                                                              \
    /* oscillators */                                                                              \
    X(RSI_14, "rsi_14", "0..100", 0, 100, 14, CONVERGING, 1, "50", "n/a",                          \
      "Wilder 1978 relative strength index; original rsi_14")                                      \
    X(STOCHASTIC_K, "stochastic_k", "0..100", 0, 100, 13, EXACT, 1, "50", "n/a",                   \
      "100 (close - low14) / (high14 - low14); Lane; original stochastic")                         \
    X(STOCHASTIC_D, "stochastic_d", "0..100", 0, 100, 15, EXACT, 1, "50", "n/a",                   \
      "mean of 3 stochastic_k")                                                                    \
    /* volatility */                                                                               \
    X(VOLATILITY_6, "volatility_6", "log", 0, 5, 6, EXACT, 1, "0", "n/a",                          \
      "root mean square of 6 log returns (realised volatility a bar)")                             \
    X(VOLATILITY_20, "volatility_20", "log", 0, 5, 20, EXACT, 1, "0", "n/a",                       \
      "sample standard deviation of 20 log returns; original volatility_20")                       \
    X(VOLATILITY_96, "volatility_96", "log", 0, 5, 96, EXACT, 1, "0", "n/a",                       \
      "root mean square of 96 log returns")                                                        \
    X(VOLATILITY_RATIO, "volatility_ratio", "ratio", 0, 4, 96, EXACT, 1, "1", "n/a",               \
      "volatility_6 / volatility_96, at most sqrt(96 / 6); 1 if both are 0")                       \
    X(BB_WIDTH, "bb_width", "fraction", 0, 18, 19, EXACT, 1, "0", "n/a",                           \
      "4 population deviations of 20 closes / their mean; Bollinger; original width")              \
    X(BB_POSITION, "bb_position", "0..1", -0.6F, 1.6F, 19, EXACT, 1, "0.5", "n/a",                 \
      "(close - lower) / (upper - lower) of Bollinger(20, 2), 0.5 if they meet; original "         \
      "bb_position")                                                                               \
    X(ATR_FRACTION, "atr_fraction", "fraction", 0, 10, 14, CONVERGING, 1, "0", "n/a",              \
      "Wilder 1978 ATR(14) / close; original ATR %")                                               \
    X(RANGE_RATIO, "range_ratio", "ratio", 0, 14.1F, 14, CONVERGING, 1, "1", "n/a",                \
      "true range / ATR(14), 1 if both are 0")                                                     \
    X(RANGE_POSITION_96, "range_position_96", "0..1", 0, 1, 95, EXACT, 1, "0.5", "n/a",            \
      "(close - low96) / (high96 - low96), 0.5 if they meet")                                      \
    X(SPREAD_ROLL, "spread_roll", "log", 0, 10, 21, EXACT, 1, "0", "n/a",                          \
      "Roll 1984: 2 sqrt(-cov(return, previous return)) over 20, 0 if cov > 0; original relative " \
      "spread")                                                                                    \
    X(AUTOCORRELATION_20, "autocorrelation_20", "-1..1", -1, 1, 21, EXACT, 1, "0", "n/a",          \
      "correlation of 20 log returns with the ones before, 0 if one side is constant")             \
    /* volume */                                                                                   \
    X(VOLUME_CHANGE, "volume_change", "fraction", -1, 100, 1, EXACT, 1, "0", "NaN",                \
      "volume / previous volume - 1; original volume_change")                                      \
    X(VOLUME_MA_RATIO, "volume_ma_ratio", "ratio", 0, 20.1F, 19, EPSILON, 1, "1", "NaN",           \
      "volume / mean of 20; original volume_ma_ratio")                                             \
    X(VOLUME_TREND, "volume_trend", "fraction", -1, 20, 95, CONVERGING, 1, "0", "NaN",             \
      "mean of 20 volumes / EMA(96) of volume - 1; original volume SMA")                           \
    X(VOLUME_Z_3, "volume_z_3", "z", -50, 50, 22, EPSILON, 1, "0", "NaN",                          \
      "(mean of 3 volumes - mean of the 20 before) / (their deviation / sqrt 3), 0 if that is 0; " \
      "here")                                                                                      \
    X(OBV_20, "obv_20", "-1..1", -1, 1, 20, EPSILON, 1, "0", "NaN",                                \
      "change of on-balance volume over 20 bars / volume of them; Granville; original OBV")        \
    X(VPT_20, "vpt_20", "fraction", -1, 10, 20, EPSILON, 1, "0", "NaN",                            \
      "change of the volume-price trend over 20 bars / volume of them; original VPT")              \
    X(VWAP_20_DISTANCE, "vwap_20_distance", "fraction", -1, 50, 19, EPSILON, 1, "0", "NaN",        \
      "close / volume-weighted mean of 20 typical prices - 1")                                     \
    X(MOVE_RATIO_3, "move_ratio_3", "ratio", 0, 10, 96, EXACT, 1, "0", "n/a",                      \
      "|log return over 3 bars| / (volatility_96 sqrt 3), 0 if both are 0; here")                  \
    /* who trades */                                                                               \
    X(TAKER_IMBALANCE, "taker_imbalance", "-1..1", -1, 1, 0, EXACT, 1, "0", "NaN",                 \
      "(taker buys - taker sells) / volume")                                                       \
    X(TAKER_IMBALANCE_3, "taker_imbalance_3", "-1..1", -1, 1, 2, EXACT, 1, "0", "NaN",             \
      "the same over 3 bars")                                                                      \
    X(TAKER_IMBALANCE_20, "taker_imbalance_20", "-1..1", -1, 1, 19, EPSILON, 1, "0", "NaN",        \
      "the same over 20 bars")                                                                     \
    X(TRADE_COUNT_RATIO, "trade_count_ratio", "ratio", 0, 20.1F, 19, EXACT, 1, "1", "NaN",         \
      "trades / mean of 20")                                                                       \
    X(TRADE_SIZE_RATIO, "trade_size_ratio", "ratio", 0, 1000, 19, EPSILON, 1, "1", "NaN",          \
      "volume a trade / the same over 20 bars")                                                    \
    X(ABSORPTION_3, "absorption_3", "z", -50, 50, 96, EPSILON, 1, "0", "NaN",                      \
      "volume_z_3 taker_imbalance_3 / (1 + move_ratio_3): a one-sided surge that moves no price; " \
      "here")                                                                                      \
    /* last closed fold of 4 and of 16 bars on the UTC grid */                                     \
    X(X4_RETURN, "x4_return", "fraction", -1, 20, 10, EXACT, 1, "0", "n/a",                        \
      "fold's close / previous fold's close - 1")                                                  \
    X(X4_RSI_14, "x4_rsi_14", "0..100", 0, 100, 62, CONVERGING, 1, "50", "n/a", "rsi_14 of folds") \
    X(X4_EMA_10_DISTANCE, "x4_ema_10_distance", "fraction", -1, 10, 42, CONVERGING, 1, "0", "n/a", \
      "ema_10_distance of folds")                                                                  \
    X(X4_ATR_FRACTION, "x4_atr_fraction", "fraction", 0, 10, 62, CONVERGING, 1, "0", "n/a",        \
      "atr_fraction of folds")                                                                     \
    X(X4_VOLATILITY_10, "x4_volatility_10", "log", 0, 10, 46, EXACT, 1, "0", "n/a",                \
      "sample standard deviation of 10 log returns of folds")                                      \
    X(X16_RETURN, "x16_return", "fraction", -1, 20, 46, EXACT, 1, "0", "n/a",                      \
      "fold's close / previous fold's close - 1")                                                  \
    X(X16_RSI_14, "x16_rsi_14", "0..100", 0, 100, 254, CONVERGING, 1, "50", "n/a",                 \
      "rsi_14 of folds")                                                                           \
    X(X16_EMA_10_DISTANCE, "x16_ema_10_distance", "fraction", -1, 10, 174, CONVERGING, 1, "0",     \
      "n/a", "ema_10_distance of folds")                                                           \
    X(X16_ATR_FRACTION, "x16_atr_fraction", "fraction", 0, 10, 254, CONVERGING, 1, "0", "n/a",     \
      "atr_fraction of folds")                                                                     \
    X(X16_VOLATILITY_10, "x16_volatility_10", "log", 0, 10, 190, EXACT, 1, "0", "n/a",             \
      "sample standard deviation of 10 log returns of folds")                                      \
    /* the moment the bar closes, UTC */                                                           \
    X(DAY_SIN, "day_sin", "-1..1", -1, 1, 0, EXACT, 1, "clock", "n/a",                             \
      "sine of the time of day of the bar's close")                                                \
    X(DAY_COS, "day_cos", "-1..1", -1, 1, 0, EXACT, 1, "clock", "n/a", "cosine of it")             \
    X(WEEK_SIN, "week_sin", "-1..1", -1, 1, 0, EXACT, 1, "clock", "n/a",                           \
      "sine of the time of week (from Monday 00:00) of the bar's close")                           \
    X(WEEK_COS, "week_cos", "-1..1", -1, 1, 0, EXACT, 1, "clock", "n/a", "cosine of it")

/* Over all rows at one time. Rows that do not know the return are left out; with fewer than two that
 * do there is no cross-section and the value is NaN. */
#define FEATURE_CROSS_TABLE(X)                                                                     \
    X(RANK_RETURN_1, "rank_return_1", "0..1", 0, 1, 1, EXACT, 1, "0.5", "NaN",                     \
      "average rank of price_change, 0 lowest, 1 highest; Jegadeesh, Titman 1993 "                 \
      "(cross-sectional momentum)")                                                                \
    X(RANK_RETURN_24, "rank_return_24", "0..1", 0, 1, 24, EXACT, 1, "0.5", "NaN",                  \
      "average rank of return_24")                                                                 \
    X(RELATIVE_STRENGTH_1, "relative_strength_1", "fraction", -11, 11, 1, EPSILON, 1, "0", "NaN",  \
      "price_change - market_return_1")                                                            \
    X(RELATIVE_STRENGTH_24, "relative_strength_24", "fraction", -21, 21, 24, EPSILON, 1, "0",      \
      "NaN", "return_24 - market_return_24")                                                       \
    X(MARKET_RETURN_1, "market_return_1", "fraction", -1, 10, 1, EPSILON, 1, "0", "NaN",           \
      "mean price_change of all rows")                                                             \
    X(MARKET_RETURN_24, "market_return_24", "fraction", -1, 20, 24, EPSILON, 1, "0", "NaN",        \
      "mean return_24 of all rows")                                                                \
    X(MARKET_DISPERSION_1, "market_dispersion_1", "fraction", 0, 10, 1, EPSILON, 1, "0", "NaN",    \
      "population standard deviation of price_change over rows")                                   \
    X(MARKET_DISPERSION_24, "market_dispersion_24", "fraction", 0, 20, 24, EPSILON, 1, "0", "NaN", \
      "population standard deviation of return_24 over rows")                                      \
    X(MARKET_BREADTH_1, "market_breadth_1", "0..1", 0, 1, 1, EXACT, 1, "0.5", "NaN",               \
      "share of rows that rose, unchanged ones count half")                                        \
    X(MARKET_BREADTH_24, "market_breadth_24", "0..1", 0, 1, 24, EXACT, 1, "0.5", "NaN",            \
      "the same over 24 bars")

#define FEATURE_TABLE(X) FEATURE_OWN_TABLE(X) FEATURE_CROSS_TABLE(X)

#endif
