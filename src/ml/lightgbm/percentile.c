#include <stdlib.h>

#include "base/assert.h"
#include "ml/lightgbm/loss_internal.h"

static void swap(double *a, double *b) {
    double t = *a;
    *a = *b;
    *b = t;
}

/* Hoare's FIND with the median of three: linear on average, and the pivots depend on the values alone. */
double lgbm_select(double *values, size_t count, size_t k) {
    ASSERT(k < count);
    size_t low = 0, high = count - 1;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (values[middle] < values[low]) swap(&values[middle], &values[low]);
        if (values[high] < values[low]) swap(&values[high], &values[low]);
        if (values[high] < values[middle]) swap(&values[high], &values[middle]);
        double pivot = values[middle];
        size_t i = low, j = high;
        while (i <= j) {
            while (values[i] < pivot) i++;
            while (pivot < values[j]) j--;
            if (i > j) break;
            swap(&values[i], &values[j]);
            i++;
            if (j == 0) break;
            j--;
        }
        if (k <= j && j < high)
            high = j;
        else if (k >= i)
            low = i;
        else
            return values[k];
    }
    return values[k];
}

double lgbm_percentile(double *values, size_t count, double alpha) {
    ASSERT(count > 0);
    double at = (double)(count - 1) * alpha;
    size_t below = (size_t)at;
    if (below >= count - 1) return lgbm_select(values, count, count - 1);
    double low = lgbm_select(values, count, below);
    /* What is behind is no smaller: the next one is its minimum. */
    double high = values[below + 1];
    for (size_t i = below + 2; i < count; i++)
        if (values[i] < high) high = values[i];
    return low + (high - low) * (at - (double)below);
}

static int by_value(const void *a, const void *b) {
    const struct weighted_value *x = a, *y = b;
    if (x->value < y->value || x->value > y->value) return x->value < y->value ? -1 : 1;
    return (x->weight > y->weight) - (x->weight < y->weight);
}

double lgbm_percentile_weighted(struct weighted_value *values, size_t count, double alpha) {
    ASSERT(count > 0);
    if (count == 1) return values[0].value;
    qsort(values, count, sizeof *values, by_value);
    double total = 0, before = 0, at = 0;
    for (size_t i = 0; i < count; i++) total += values[i].weight;
    double wanted = alpha * total;
    for (size_t i = 1; i < count; i++) {
        before += values[i - 1].weight;
        double next = before + values[i].weight * ((double)i / (double)(count - 1));
        if (wanted < next) {
            double share = (wanted - at) / (next - at);
            return values[i - 1].value + (values[i].value - values[i - 1].value) * share;
        }
        at = next;
    }
    return values[count - 1].value;
}
