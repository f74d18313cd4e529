#include "ml/nn/network.h"

double network_loss(const struct network *net, nn_real *dy, const nn_real *y,
                    const struct nn_batch *batch, const struct nn_loss_choice *loss,
                    nn_real *weights) {
    if (loss->own) return loss->own(loss->context, dy, y, batch);
    size_t a_window = net->horizon * net->outputs;
    if (batch->weights)
        for (size_t i = 0; i < batch->n * a_window; i++) weights[i] = batch->weights[i / a_window];
    return nn_loss_values(dy, y, batch->target, batch->weights ? weights : NULL,
                          batch->n * a_window, loss->kind, loss->delta);
}
