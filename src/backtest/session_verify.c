/* Where a verification begins: at the first record, if everything since is still there, else at the oldest snapshot of
 * which that can be said. Gone may be the journal's oldest segments (a market that goes on keeps only so many) and files of
 * models that were tried and rejected: who is asked in shadow is asked again when a journal is executed. */
#include <inttypes.h>
#include <string.h>

#include "backtest/session_internal.h"

struct scan {
    uint64_t first, gone;          /* records; gone: the last one whose model's file is, 0 none */
    uint64_t pending[MODEL_COUNT]; /* by kind: a training that ended last, its file gone */
};

/* The file of every model that is on record as trained, but for those that the next change of their kind turns away. */
static enum status look(struct scan *scan, const struct session *s, const struct journal_record *r,
                        struct err *err) {
    struct model_changed change;
    if (r->type != EVENT_MODEL_CHANGED || r->size != sizeof change) return ST_OK;
    memcpy(&change, r->payload, sizeof change);
    if (change.model >= MODEL_COUNT) return ST_OK; /* told where it is executed */
    uint64_t *pending = &scan->pending[change.model];
    if (*pending && !retrain_is_turned_away(&change)) scan->gone = *pending;
    *pending = 0;
    if (strcmp(change.change, "trained") != 0) return ST_OK;
    bool is_there;
    enum status st = retrain_has_file(&is_there, s->o.retrain, change.hash, err);
    if (st == ST_OK && !is_there) *pending = r->seq;
    return st;
}

static enum status read_all(struct scan *scan, const struct session *s, const char *journal_dir,
                            struct err *err) {
    struct journal_reader *reader;
    struct journal_record r;
    enum status st = journal_reader_open(&reader, journal_dir, 0, err);
    if (st != ST_OK) return st;
    st = journal_next(reader, &r, err);
    scan->first = st == ST_OK ? r.seq : 1;
    while (st == ST_OK && s->o.retrain) {
        st = look(scan, s, &r, err);
        if (st == ST_OK) st = journal_next(reader, &r, err);
    }
    journal_reader_close(reader);
    /* What is broken is told where it is executed. */
    return st == ST_END || st == ST_CORRUPT ? ST_OK : st;
}

enum status session_verify_start(struct session *s, struct session_result *out,
                                 const char *journal_dir, struct err *err) {
    struct scan scan = {0};
    uint64_t seqs[SESSION_SNAPSHOTS_MAX];
    enum status st = read_all(&scan, s, journal_dir, err);
    if (st != ST_OK) return st;
    out->journal_first_seq = scan.first;
    out->model_gone_seq = scan.gone;
    bool whole = scan.first == 1 && scan.gone == 0;
    size_t n = whole ? 0 : session_snapshot_list(seqs, SESSION_SNAPSHOTS_MAX, s);
    for (size_t i = n; i-- > 0 && s->covered == 0;) {
        if (seqs[i] + 1 < scan.first || seqs[i] <= scan.gone) continue;
        if (session_snapshot_load_at(s, seqs[i], err) == ST_OK) s->covered = seqs[i];
    }
    if (!whole && s->covered == 0)
        return err_set(err, ST_NOT_FOUND,
                       "%s: nothing can be executed again: the first record is %" PRIu64
                       ", the file of the model trained in record %" PRIu64
                       " is gone, and no snapshot lies behind both",
                       journal_dir, scan.first, scan.gone);
    out->verified_from = s->covered + 1;
    return journal_reader_open(&s->reader, journal_dir, s->covered + 1, err);
}
