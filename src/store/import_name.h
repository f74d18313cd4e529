/* What a file's path says about the series in it. Used by the importer only. */
#ifndef STORE_IMPORT_NAME_H
#define STORE_IMPORT_NAME_H

#include <stdbool.h>
#include <stdint.h>

#include "domain/instrument.h"
#include "store/candles.h"

struct import_name {
    char symbol[SYMBOL_SIZE]; /* "" if the name has none */
    char market[MARKET_SIZE]; /* "" if the path says none */
    int64_t interval_ns;      /* 0 if the path says none */
    bool funding;             /* the path speaks of funding */
    const char *unsupported;  /* why such a file cannot be taken, NULL if it can */
};

/* path: as given, or made absolute; entry: name inside a zip archive, or NULL. The symbol is the
 * first word of five or more capitals and digits in the file's name ("BTCUSDT-1h-2024-10.zip"),
 * words being parted by '-' and '.'. Market and interval are looked for in the file's name and then
 * in its four nearest folders, nearest first ("klines/um-1h/…"); "mark" wins wherever it stands. */
void import_name_parse(struct import_name *out, const char *path, const char *entry);

/* True for names of files the importer reads: .csv, .json, each also .zst and .gz, and .zip. */
bool import_name_is_known(const char *name);

/* Intervals the exchange publishes with a grid counted from 1970. */
bool import_interval_is_known(int64_t interval_ns);

#endif
