/* The loop over tasks. Included once for each instruction set, which names KERNEL. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "_kernel.h"

#if defined __GNUC__
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#endif

#if defined __has_builtin
#if __has_builtin(__builtin_shufflevector)
#define BLOCKS /* GCC 12 and clang; others learn all tasks sample by sample */
#endif
#endif

#ifdef BLOCKS
#include "_vectors.h"
#endif
#include "_loss_types.h"
#include "_samples.h"
#ifdef BLOCKS
#include "_blocks.h"
#endif

static double *aligned_zeros(ptrdiff_t n, void **memory)
{
    *memory = calloc((size_t)n + 8, sizeof(double));
    return (double *)(((size_t)*memory + 63) / 64 * 64);
}

/* ---- parameters in the form of the loop over samples or of the loop in blocks */

typedef struct {
    const Data *data;
    const Inner *inner;
    ptrdiff_t natural; /* numbers of a parameter outside */
    ptrdiff_t size;    /* and in the loops */
    int in_blocks;
#ifdef BLOCKS
    Shape shape;
#endif
} Learner;

static Learner make_learner(const Data *data, const Inner *inner, int per_coordinate)
{
    Learner learner = {data, inner};
    learner.natural = learner.size = inner->n_outputs * (data->X.n_features + 1);
#ifdef BLOCKS
    learner.in_blocks = !data->X.indices && !per_coordinate && !isfinite(inner->radius)
                        && (inner->n_outputs == 1 || is_margin(inner->loss));
    if (learner.in_blocks) {
        learner.shape = make_shape(data->X.n_features, inner->n_outputs);
        learner.size = learner.shape.size;
    }
#else
    (void)per_coordinate;
#endif
    return learner;
}

static ptrdiff_t learner_room(const Learner *learner)
{
#ifdef BLOCKS
    if (learner->in_blocks) return blocks_room(&learner->shape);
#endif
    ptrdiff_t buffer = learner->data->X.doubles ? 0 : longest_row(&learner->data->X);
    return buffer + samples_room(learner->inner, learner->size);
}

INLINE void take_in(const Learner *learner, double *inside, const double *outside)
{
#ifdef BLOCKS
    if (learner->in_blocks) {
        pack(inside, outside, &learner->shape);
        return;
    }
#endif
    memcpy(inside, outside, learner->size * sizeof(double));
}

INLINE void hand_out(const Learner *learner, double *outside, const double *inside)
{
#ifdef BLOCKS
    if (learner->in_blocks) {
        unpack(outside, inside, &learner->shape);
        return;
    }
#endif
    memcpy(outside, inside, learner->size * sizeof(double));
}

INLINE int learn(const Learner *learner, Task *task, double *room)
{
#ifdef BLOCKS
    if (learner->in_blocks)
        return learn_blocks(learner->data, learner->inner, &learner->shape, task, room);
#endif
    double *buffer = room + samples_room(learner->inner, learner->size);
    return learn_samples(learner->data, learner->inner, task, room, buffer);
}

/* The mean iterate in entry j, see `averages_moves`. */
INLINE double mean_iterate(double theta, double moves, double n_steps)
{
    return theta - moves / n_steps;
}

static int run_task(
    const Data *data, const Inner *inner, ptrdiff_t begin, ptrdiff_t end,
    const OneTask *one)
{
    const int per_coordinate = one->n_etas > 1;
    const Learner learner = make_learner(data, inner, per_coordinate);
    const ptrdiff_t size = learner.size;
    const double n_steps = (double)((end - begin) * inner->max_iter);
    void *memory;
    double *room = aligned_zeros(2 * size + learner_room(&learner), &memory);
    if (!memory) return -1;
    double *theta = room, *average = room + size;
    Task task = {begin, end, one->eta, per_coordinate, theta,
                 one->average ? average : NULL, one->losses, one->grad_sq, 0.0};
    take_in(&learner, theta, one->theta);
    int finite = learn(&learner, &task, room + 2 * size)
                 && all_finite(theta, size) && all_finite(one->grad_sq, one->n_etas);
    hand_out(&learner, one->theta, theta);
    if (one->average) {
        for (ptrdiff_t j = 0; averages_moves(inner) && j < size; j++)
            average[j] = mean_iterate(theta[j], average[j], n_steps);
        hand_out(&learner, one->average, average);
    }
    free(memory);
    return finite;
}

/* ---- step size and meta-update; see `skmeta.step_size` and `skmeta.meta_update` */

static void propose(
    const Meta *meta, const double *rule, ptrdiff_t m, const double *eta0, double *eta,
    ptrdiff_t n_etas)
{
    const double root = sqrt((double)m);
    if (meta->step_size == FIXED)
        for (ptrdiff_t j = 0; j < n_etas; j++)
            eta[j] = meta->divide_by_root ? eta0[j] / root : eta0[j];
    else if (meta->step_size == DOUBLING)
        eta[0] = rule[0] / (meta->step_size_parameters[1] * root);
    else
        for (ptrdiff_t j = 0; j < n_etas; j++)
            eta[j] = sqrt(rule[j] / rule[n_etas + j]);
}

/* `moved`: of every parameter if there is a step size for each. */
static void observe(
    const Meta *meta, double *rule, const double *moved, double distance,
    const double *grad_sq, double t, ptrdiff_t n_etas)
{
    if (meta->step_size == DOUBLING) {
        if (distance > rule[0]) rule[0] *= meta->step_size_parameters[0];
    } else if (meta->step_size == ARUBA) {
        const double eps = meta->step_size_parameters[0];
        const double zeta = meta->step_size_parameters[1];
        const double decay = pow(t + 1.0, meta->step_size_parameters[2]);
        for (ptrdiff_t j = 0; j < n_etas; j++) {
            double length = n_etas > 1 ? moved[j] : distance;
            rule[j] += eps * eps / decay;
            rule[j] += 0.5 * (length * length);
            rule[n_etas + j] += grad_sq[j] + zeta * zeta / decay;
        }
    }
}

static double meta_step(const Meta *meta, const double *clock, ptrdiff_t m)
{
    const double t = clock[0], weight_sum = clock[1];
    const double final = meta->meta_update_parameters[0];
    const double n_tasks = meta->meta_update_parameters[1];
    double part;
    switch (meta->meta_update) {
    case FOLLOW_THE_LEADER:
        return sqrt((double)m) / weight_sum;
    case ADAPTIVE_OGD:
        return t == 1.0 && !meta->phi_given ? 1.0 : 1.0 / weight_sum;
    case CONSTANT:
        return meta->meta_eta0;
    default: /* LINEAR_DECAY */
        part = (t - 1.0) / (n_tasks - 1.0);
        if (part > 1.0) part = 1.0;
        return meta->meta_eta0 + part * (final - meta->meta_eta0);
    }
}

/* ---- how far a task went from phi */

/* Stored values of the rows of a task. */
static ptrdiff_t count_stored(const Data *data, ptrdiff_t begin, ptrdiff_t end)
{
    ptrdiff_t n = 0;
    if (!data->order) return data->X.indptr[end] - data->X.indptr[begin];
    for (ptrdiff_t position = begin; position < end; position++) {
        ptrdiff_t i = data->order[position];
        n += data->X.indptr[i + 1] - data->X.indptr[i];
    }
    return n;
}

/* What a task of few features has touched, entry by entry. */
typedef struct {
    double *phi, *theta, *average; /* average may be NULL */
    double n_steps, share;
    double *origin; /* of phi, a value for every entry as often as it comes */
} Touched;

/* Moves phi[j] its share of the way to the parameter, and theta[j] to phi[j]; returns
 * the way. An entry that comes again has no way left. */
INLINE double settle(Touched *touched, ptrdiff_t j, const int averages)
{
    const double origin = touched->phi[j], theta = touched->theta[j];
    double moved = theta - origin;
    if (averages) {
        moved = mean_iterate(theta, touched->average[j], touched->n_steps) - origin;
        touched->average[j] = 0.0;
    }
    *touched->origin++ = origin;
    touched->theta[j] = touched->phi[j] = origin + touched->share * moved;
    return moved;
}

/* Settles all entries; returns the squared distance. */
INLINE double settle_each(
    Touched all, const Learner *learner, const Task *task, const int averages)
{
    const Matrix *X = &learner->data->X;
    const ptrdiff_t d = X->n_features;
    double sums[4] = {0.0};
    for (ptrdiff_t k = 0; k < learner->inner->n_outputs; k++) {
        const ptrdiff_t first = k * (d + 1);
        double moved = settle(&all, first + d, averages);
        sums[0] += moved * moved;
        for (ptrdiff_t position = task->begin; position < task->end; position++) {
            const ptrdiff_t i = row_number(learner->data, 0, position);
            const int *column = X->indices + X->indptr[i];
            const ptrdiff_t n = X->indptr[i + 1] - X->indptr[i];
            ptrdiff_t q = 0;
            for (; q + 4 <= n; q += 4) {
#pragma GCC unroll 4
                for (int c = 0; c < 4; c++) {
                    moved = settle(&all, first + column[q + c], averages);
                    sums[c] += moved * moved;
                }
            }
            for (; q < n; q++) {
                moved = settle(&all, first + column[q], averages);
                sums[0] += moved * moved;
            }
        }
    }
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

static double settle_all(Touched all, const Learner *learner, const Task *task)
{
    return task->average ? settle_each(all, learner, task, 1)
                         : settle_each(all, learner, task, 0);
}

/* Takes back what `settle_all` did to phi, the last entry first. */
static void unsettle_all(Touched all, const Learner *learner, const Task *task)
{
    const Matrix *X = &learner->data->X;
    const ptrdiff_t d = X->n_features, K = learner->inner->n_outputs;
    all.origin += K * (1 + count_stored(learner->data, task->begin, task->end));
    for (ptrdiff_t k = K - 1; k >= 0; k--) {
        const ptrdiff_t first = k * (d + 1);
        for (ptrdiff_t position = task->end - 1; position >= task->begin; position--) {
            const ptrdiff_t i = row_number(learner->data, 0, position);
            for (ptrdiff_t q = X->indptr[i + 1] - 1; q >= X->indptr[i]; q--)
                all.phi[first + X->indices[q]] = *--all.origin;
        }
        all.phi[first + d] = *--all.origin;
    }
}

/* moved = parameter - phi; returns its squared norm. */
static double subtract(
    double *moved, double *parameter, const double *phi, ptrdiff_t size)
{
    for (ptrdiff_t j = 0; j < size; j++) moved[j] = parameter[j] - phi[j];
    return square_sum(moved, size);
}

/* ---- all tasks */

static ptrdiff_t learn_tasks(
    const Data *data, const Inner *inner, const Meta *meta, const ManyTasks *tasks)
{
    const ptrdiff_t n_etas = tasks->n_etas;
    const Learner learner = make_learner(data, inner, n_etas > 1);
    const ptrdiff_t size = learner.size, natural = learner.natural;
    const int touches_few = data->X.indices && n_etas == 1 && averages_moves(inner);
    const ptrdiff_t n_room = 4 * size + 2 * n_etas + learner_room(&learner);
    void *memory;
    double *room = aligned_zeros(n_room, &memory);
    if (!memory) return -1;
    double *phi = room, *theta = phi + size, *average = theta + size;
    double *moved = average + size, *eta = moved + size, *grad_sq = eta + n_etas;
    double *rest = grad_sq + n_etas;
    double *parameter = meta->average ? average : theta;
    int theta_is_phi = 0; /* and `average` is zero */
    ptrdiff_t t;
    take_in(&learner, phi, tasks->phi);
    for (t = tasks->first; t < tasks->last; t++) {
        const ptrdiff_t begin = tasks->starts[t], end = tasks->starts[t + 1];
        const ptrdiff_t m = end - begin;
        const double n_steps = (double)(m * inner->max_iter);
        const int is_known = tasks->own_index && tasks->own_index[t] >= 0;
        /* An entry settled by its column costs about three times one in passing. */
        const int few = touches_few && !is_known
                        && 3 * inner->n_outputs * count_stored(data, begin, end) < size;
        const double root = sqrt((double)m);
        const double clock[2] = {tasks->clock[0] + 1.0, tasks->clock[1] + root};
        /* the tasks of a meta-batch leave phi where it is */
        const double share = tasks->grad_sq ? 0.0 : meta_step(meta, clock, m);
        Task task = {begin, end, eta, n_etas > 1, theta,
                     meta->average ? average : NULL, NULL, grad_sq, 0.0};
        const Touched touched = {phi, theta, task.average, n_steps, share, moved};
        double *out = tasks->parameters ? tasks->parameters + t * natural : NULL;
        double square, sum_grad_sq = 0.0, mean_eta = 0.0;

        if (is_known)
            take_in(&learner, theta, tasks->own + tasks->own_index[t] * natural);
        else if (!theta_is_phi)
            memcpy(theta, phi, size * sizeof(double));
        if (meta->average && !(few && theta_is_phi))
            memset(average, 0, size * sizeof(double));
        propose(meta, tasks->rule, m, tasks->eta0, eta, n_etas);
        memset(grad_sq, 0, n_etas * sizeof(double));
        int finite = learn(&learner, &task, rest);
        if (few) {
            for (ptrdiff_t j = 0; out && j < size; j++)
                out[j] = task.average ? mean_iterate(theta[j], average[j], n_steps)
                                      : theta[j];
            square = settle_all(touched, &learner, &task);
        } else {
            if (task.average && averages_moves(inner))
                for (ptrdiff_t j = 0; j < size; j++)
                    average[j] = mean_iterate(theta[j], average[j], n_steps);
            else if (task.average) /* in the distance, theta does not occur */
                finite = finite && all_finite(theta, size);
            square = subtract(moved, parameter, phi, size);
        }
        theta_is_phi = few;
        const double distance = sqrt(square);
        if (!finite || !isfinite(distance) || !all_finite(grad_sq, n_etas)) {
            if (few) unsettle_all(touched, &learner, &task);
            break;
        }
        if (out && !few) hand_out(&learner, out, parameter);
        for (ptrdiff_t j = 0; j < n_etas; j++) {
            sum_grad_sq += grad_sq[j];
            mean_eta += eta[j] / (double)n_etas;
        }
        const HistoryRow row = {m, task.total_loss / (double)m, distance, sum_grad_sq,
                                mean_eta};
        tasks->history[t] = row;
        if (tasks->grad_sq) {
            memcpy(tasks->grad_sq + t * n_etas, grad_sq, n_etas * sizeof(double));
            continue;
        }
        memcpy(tasks->clock, clock, sizeof clock);
        observe(meta, tasks->rule, moved, distance, grad_sq, clock[0], n_etas);
        if (!few)
            for (ptrdiff_t j = 0; j < size; j++) phi[j] += share * moved[j];
    }
    hand_out(&learner, tasks->phi, phi);
    free(memory);
    return t;
}

/* ---- scores */

static int score_rows(
    const Matrix *X, const ptrdiff_t *index, const double *parameters,
    ptrdiff_t n_outputs, double *scores)
{
    const ptrdiff_t width = X->n_features + 1;
    double *buffer = NULL;
    if (!X->doubles) {
        buffer = malloc((size_t)(longest_row(X) + 1) * sizeof(double));
        if (!buffer) return -1;
    }
    for (ptrdiff_t i = 0; i < X->n_rows; i++) {
        const Row row = row_at(X, i, buffer);
        const double *theta = parameters + index[i] * n_outputs * width;
        for (ptrdiff_t k = 0; k < n_outputs; k++, theta += width)
            scores[i * n_outputs + k] = dot(row, theta) + theta[X->n_features];
    }
    free(buffer);
    return 1;
}

const Kernel KERNEL = {run_task, learn_tasks, score_rows};
