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
#include "_step_sizes.h"

static double *aligned_zeros(ptrdiff_t n, void **memory)
{
    *memory = calloc((size_t)n + 8, sizeof(double));
    return (double *)(((size_t)*memory + 63) / 64 * 64);
}

/* ---- parameters in the form of the loop over samples or of the loop in blocks */

typedef struct {
    const Data *data;
    const Inner *inner;
    ptrdiff_t longest; /* row */
    ptrdiff_t natural; /* numbers of a parameter outside */
    ptrdiff_t size;    /* and in the loops, where it may be padded */
    int in_blocks;
#ifdef BLOCKS
    Shape shape;
#endif
} Learner;

/* `longest` is negative where the rows of X cannot be read. */
static Learner make_learner(
    const Data *data, const Inner *inner, int per_coordinate, ptrdiff_t begin,
    ptrdiff_t end)
{
    Learner learner = {.data = data, .inner = inner};
    learner.longest = longest_row(data, begin, end);
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

static ptrdiff_t learner_scratch(const Learner *learner)
{
#ifdef BLOCKS
    if (learner->in_blocks) return blocks_scratch(&learner->shape);
#endif
    const ptrdiff_t buffer = learner->data->X.doubles ? 0 : learner->longest;
    return buffer + samples_scratch(learner->inner, learner->size);
}

INLINE void to_padded(const Learner *learner, double *padded, const double *natural)
{
#ifdef BLOCKS
    if (learner->in_blocks) {
        pack(padded, natural, &learner->shape);
        return;
    }
#endif
    memcpy(padded, natural, learner->size * sizeof(double));
}

INLINE void from_padded(const Learner *learner, double *natural, const double *padded)
{
#ifdef BLOCKS
    if (learner->in_blocks) {
        unpack(natural, padded, &learner->shape);
        return;
    }
#endif
    memcpy(natural, padded, learner->size * sizeof(double));
}

INLINE int learn(const Learner *learner, Task *task, double *scratch)
{
    const Data *data = learner->data;
#ifdef BLOCKS
    if (learner->in_blocks)
        return learn_blocks(data, learner->inner, &learner->shape, task, scratch);
#endif
    double *buffer = scratch + samples_scratch(learner->inner, learner->size);
    return learn_samples(data, learner->inner, task, scratch, buffer);
}

/* The mean iterate in entry j, see `sums_steps`. */
INLINE double mean_iterate(double theta, double steps, double n_steps)
{
    return theta - steps / n_steps;
}

static enum Outcome run_task(const Data *data, const Inner *inner, const OneTask *one)
{
    const ptrdiff_t n_rows = data->X.n_rows;
    const int per_coordinate = one->n_etas > 1;
    const Learner learner = make_learner(data, inner, per_coordinate, 0, n_rows);
    if (learner.longest < 0 || !columns_fit(data, 0, n_rows)) return NOT_IN_X;
    const ptrdiff_t size = learner.size;
    const double n_steps = (double)(n_rows * inner->max_iter);
    void *memory;
    double *theta = aligned_zeros(2 * size + learner_scratch(&learner), &memory);
    if (!memory) return NO_MEMORY;
    double *average = theta + size, *scratch = average + size;
    Task task = {0, n_rows, one->eta, per_coordinate, theta,
                 one->average ? average : NULL, one->losses, one->grad_sq, 0.0};
    to_padded(&learner, theta, one->theta);
    int finite = learn(&learner, &task, scratch) && all_finite(theta, size)
                 && all_finite(one->grad_sq, one->n_etas);
    from_padded(&learner, one->theta, theta);
    if (one->average) {
        for (ptrdiff_t j = 0; sums_steps(inner) && j < size; j++)
            average[j] = mean_iterate(theta[j], average[j], n_steps);
        from_padded(&learner, one->average, average);
    }
    free(memory);
    return finite ? FINITE : NOT_FINITE;
}

/* ---- the move of the shared initialization on the features of a task alone */

/* Stored values of the rows of a task. */
static ptrdiff_t count_stored(const Data *data, ptrdiff_t begin, ptrdiff_t end)
{
    ptrdiff_t n = 0;
    if (!data->order) return data->X.indptr[end] - data->X.indptr[begin];
    for (ptrdiff_t position = begin; position < end; position++)
        n += row_length(&data->X, data->order[position]);
    return n;
}

/* A task of few stored values, entry by entry. */
typedef struct {
    double *phi, *theta, *average; /* average may be NULL */
    double n_steps, share;
    double *origin; /* of phi, a value for every entry as often as it comes */
} Touched;

/* Moves phi[j] by its share of the displacement of the parameter, and theta[j] to
 * phi[j]; returns the displacement. It is zero for an entry that comes again. */
INLINE double apply_move(Touched *touched, ptrdiff_t j, const int averages)
{
    const double origin = touched->phi[j], theta = touched->theta[j];
    double displacement = theta - origin;
    if (averages) {
        const double steps = touched->average[j];
        displacement = mean_iterate(theta, steps, touched->n_steps) - origin;
        touched->average[j] = 0.0;
    }
    *touched->origin++ = origin;
    touched->theta[j] = touched->phi[j] = origin + touched->share * displacement;
    return displacement;
}

/* Moves all entries; returns the squared distance. */
INLINE double apply_each(
    Touched all, const Learner *learner, const Task *task, const int averages)
{
    const Matrix *X = &learner->data->X;
    const ptrdiff_t d = X->n_features;
    double sums[4] = {0.0};
    for (ptrdiff_t k = 0; k < learner->inner->n_outputs; k++) {
        const ptrdiff_t first = k * (d + 1);
        double displacement = apply_move(&all, first + d, averages);
        sums[0] += displacement * displacement;
        for (ptrdiff_t position = task->begin; position < task->end; position++) {
            const ptrdiff_t i = row_number(learner->data, 0, position);
            const int *column = X->indices + X->indptr[i];
            const ptrdiff_t n = X->indptr[i + 1] - X->indptr[i];
            ptrdiff_t q = 0;
            for (; q + 4 <= n; q += 4) {
#pragma GCC unroll 4
                for (int c = 0; c < 4; c++) {
                    displacement = apply_move(&all, first + column[q + c], averages);
                    sums[c] += displacement * displacement;
                }
            }
            for (; q < n; q++) {
                displacement = apply_move(&all, first + column[q], averages);
                sums[0] += displacement * displacement;
            }
        }
    }
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

static double apply_moves(Touched all, const Learner *learner, const Task *task)
{
    return task->average ? apply_each(all, learner, task, 1)
                         : apply_each(all, learner, task, 0);
}

/* Takes back what `apply_moves` did to phi, the last entry first. */
static void undo_moves(Touched all, const Learner *learner, const Task *task)
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

/* Adds what `apply_moves` did to phi, times a factor. */
static void add_moves(double *moves, Touched all, const Learner *learner,
                      const Task *task, double factor)
{
    const Matrix *X = &learner->data->X;
    const ptrdiff_t d = X->n_features, K = learner->inner->n_outputs;
    for (ptrdiff_t k = 0; k < K; k++) {
        const ptrdiff_t first = k * (d + 1);
        moves[first + d] += factor * (all.phi[first + d] - *all.origin++);
        for (ptrdiff_t position = task->begin; position < task->end; position++) {
            const ptrdiff_t i = row_number(learner->data, 0, position);
            for (ptrdiff_t q = X->indptr[i]; q < X->indptr[i + 1]; q++) {
                const ptrdiff_t j = first + X->indices[q];
                moves[j] += factor * (all.phi[j] - *all.origin++);
            }
        }
    }
}

/* displacement = parameter - phi; returns its squared norm. */
static double subtract(
    double *displacement, const double *parameter, const double *phi, ptrdiff_t size)
{
    for (ptrdiff_t j = 0; j < size; j++) displacement[j] = parameter[j] - phi[j];
    return square_sum(displacement, size);
}

/* ---- all tasks */

typedef struct {
    const Rules *rules;
    const ManyTasks *tasks;
    const StepSize *step_size;
    const MetaStepSize *meta_step_size;
    Learner learner;
    double *phi, *moves, *theta, *average, *displacement; /* padded */
    double *eta, *grad_sq, *scratch;
    int theta_is_phi; /* and `average` is zero */
    double n_tasks;   /* learned so far, the present one included */
} Loop;

/* Whether to move only what the task touches. An entry that is moved by its column
 * costs about three times one in passing. */
static int touches_few(const Loop *loop, const Task *task, int is_known)
{
    const Learner *learner = &loop->learner;
    const ptrdiff_t K = learner->inner->n_outputs;
    return learner->data->X.indices && !task->per_coordinate && !is_known
           && sums_steps(learner->inner)
           && 3 * K * count_stored(learner->data, task->begin, task->end)
                  < learner->size;
}

static void start_task(Loop *loop, ptrdiff_t t, const Task *task, int is_known, int few)
{
    const ManyTasks *tasks = loop->tasks;
    const ptrdiff_t size = loop->learner.size, natural = loop->learner.natural;
    if (is_known)
        to_padded(&loop->learner, loop->theta,
                  tasks->own + tasks->own_index[t] * natural);
    else if (!loop->theta_is_phi)
        memcpy(loop->theta, loop->phi, size * sizeof(double));
    if (task->average && !(few && loop->theta_is_phi))
        memset(task->average, 0, size * sizeof(double));
    memset(loop->grad_sq, 0, loop->rules->n_etas * sizeof(double));
    loop->step_size->propose(loop->rules, tasks->rule_state, task->end - task->begin,
                             loop->eta);
}

/* The parameter of a task of many entries replaces its mean; returns whether it, and
 * theta, are finite as far as the distance does not show it. */
static int finish_average(const Loop *loop, const Task *task, double n_steps)
{
    const ptrdiff_t size = loop->learner.size;
    if (!task->average) return 1;
    if (!sums_steps(loop->learner.inner)) return all_finite(loop->theta, size);
    for (ptrdiff_t j = 0; j < size; j++)
        task->average[j] = mean_iterate(loop->theta[j], task->average[j], n_steps);
    return 1;
}

static HistoryRow make_row(const Loop *loop, const Task *task, double distance)
{
    const ptrdiff_t n_etas = loop->rules->n_etas, m = task->end - task->begin;
    HistoryRow row = {m, task->total_loss / (double)m, distance, 0.0, 0.0};
    for (ptrdiff_t j = 0; j < n_etas; j++) {
        row.grad_sq_norm += loop->grad_sq[j];
        row.step_size += loop->eta[j] / (double)n_etas;
    }
    return row;
}

static enum Outcome learn_task(Loop *loop, ptrdiff_t t)
{
    const Rules *rules = loop->rules;
    const ManyTasks *tasks = loop->tasks;
    const Learner *learner = &loop->learner;
    const ptrdiff_t size = learner->size, n_etas = rules->n_etas;
    const ptrdiff_t begin = tasks->starts[t], end = tasks->starts[t + 1];
    const double n_steps = (double)((end - begin) * learner->inner->max_iter);
    const double weight = sqrt((double)(end - begin));
    if (!columns_fit(learner->data, begin, end)) return NOT_IN_X;

    loop->n_tasks += 1.0;
    /* the tasks of a meta-batch leave phi where it is */
    const double share = tasks->grad_sq
                             ? 0.0
                             : loop->meta_step_size->share(rules->meta_parameters,
                                                           tasks->meta_state,
                                                           loop->n_tasks, weight);
    Task task = {begin, end, loop->eta, n_etas > 1, loop->theta,
                 rules->average ? loop->average : NULL, NULL, loop->grad_sq, 0.0};
    const Touched touched = {loop->phi, loop->theta, task.average, n_steps, share,
                             loop->displacement};
    const int is_known = tasks->own_index && tasks->own_index[t] >= 0;
    const int few = touches_few(loop, &task, is_known);
    double *parameter = rules->average ? loop->average : loop->theta;
    double *out = tasks->parameters ? tasks->parameters + t * learner->natural : NULL;
    double square;

    start_task(loop, t, &task, is_known, few);
    int finite = learn(learner, &task, loop->scratch);
    if (few) {
        for (ptrdiff_t j = 0; out && j < size; j++)
            out[j] = task.average
                         ? mean_iterate(task.theta[j], task.average[j], n_steps)
                         : task.theta[j];
        square = apply_moves(touched, learner, &task);
    } else {
        finite = finish_average(loop, &task, n_steps) && finite;
        square = subtract(loop->displacement, parameter, loop->phi, size);
    }
    loop->theta_is_phi = few;
    const double distance = sqrt(square);
    if (!finite || !isfinite(distance) || !all_finite(loop->grad_sq, n_etas)) {
        if (few) undo_moves(touched, learner, &task);
        return NOT_FINITE;
    }
    if (out && !few) from_padded(learner, out, parameter);
    tasks->history[t] = make_row(loop, &task, distance);
    if (tasks->grad_sq) {
        memcpy(tasks->grad_sq + t * n_etas, loop->grad_sq, n_etas * sizeof(double));
        return FINITE;
    }
    loop->meta_step_size->add(rules->meta_parameters, tasks->meta_state, loop->n_tasks,
                              weight);
    loop->step_size->observe(rules, tasks->rule_state, loop->displacement, distance,
                             loop->grad_sq, end - begin, loop->n_tasks);
    if (few) {
        add_moves(loop->moves, touched, learner, &task, loop->n_tasks);
        return FINITE;
    }
    for (ptrdiff_t j = 0; j < size; j++) {
        const double move = share * loop->displacement[j];
        loop->phi[j] += move;
        loop->moves[j] += loop->n_tasks * move;
    }
    return FINITE;
}

/* Whether tasks are made of rows of X, and known ones are in `own`. */
static int tasks_fit(const ManyTasks *tasks, ptrdiff_t n_rows)
{
    const ptrdiff_t first = tasks->starts[tasks->first];
    if (first < 0 || tasks->starts[tasks->last] > n_rows) return 0;
    for (ptrdiff_t t = tasks->first; t < tasks->last; t++) {
        if (tasks->starts[t] >= tasks->starts[t + 1]) return 0;
        if (tasks->own_index && tasks->own_index[t] >= tasks->n_own) return 0;
    }
    return 1;
}

static ptrdiff_t learn_tasks(
    const Data *data, const Inner *inner, const Rules *rules, const ManyTasks *tasks)
{
    if (!tasks_fit(tasks, data->X.n_rows)) return NOT_IN_X;
    const ptrdiff_t first = tasks->starts[tasks->first];
    const ptrdiff_t last = tasks->starts[tasks->last];
    const ptrdiff_t n_etas = rules->n_etas;
    Loop loop = {.rules = rules, .tasks = tasks};
    loop.step_size = step_sizes + rules->step_size;
    loop.meta_step_size = meta_step_sizes + rules->meta_step_size;
    loop.learner = make_learner(data, inner, n_etas > 1, first, last);
    if (loop.learner.longest < 0) return NOT_IN_X;
    const ptrdiff_t size = loop.learner.size;
    void *memory;
    loop.phi = aligned_zeros(5 * size + 2 * n_etas + learner_scratch(&loop.learner),
                             &memory);
    if (!memory) return NO_MEMORY;
    loop.moves = loop.phi + size, loop.theta = loop.moves + size;
    loop.average = loop.theta + size;
    loop.displacement = loop.average + size, loop.eta = loop.displacement + size;
    loop.grad_sq = loop.eta + n_etas, loop.scratch = loop.grad_sq + n_etas;
    loop.n_tasks = (double)tasks->n_tasks;
    to_padded(&loop.learner, loop.phi, tasks->phi);
    if (tasks->moves) to_padded(&loop.learner, loop.moves, tasks->moves);
    enum Outcome outcome = FINITE;
    ptrdiff_t t = tasks->first;
    while (t < tasks->last && (outcome = learn_task(&loop, t)) == FINITE) t++;
    if (outcome != NOT_IN_X) {
        from_padded(&loop.learner, tasks->phi, loop.phi);
        if (tasks->moves) from_padded(&loop.learner, tasks->moves, loop.moves);
    }
    free(memory);
    return outcome < 0 ? outcome : t;
}

/* ---- scores */

static enum Outcome score_rows(
    const Matrix *X, const ptrdiff_t *index, const double *parameters,
    ptrdiff_t n_parameters, ptrdiff_t n_outputs, double *scores)
{
    const Data rows = {*X, NULL, NULL, NULL, 1};
    const ptrdiff_t width = X->n_features + 1;
    const ptrdiff_t longest = longest_row(&rows, 0, X->n_rows);
    double *buffer = NULL;
    if (longest < 0) return NOT_IN_X;
    if (!X->doubles) {
        buffer = malloc((size_t)(longest + 1) * sizeof(double));
        if (!buffer) return NO_MEMORY;
    }
    enum Outcome outcome = FINITE;
    for (ptrdiff_t i = 0; i < X->n_rows; i++) {
        const Row row = row_at(X, i, buffer);
        if (index[i] < 0 || index[i] >= n_parameters
            || (row.column && !are_columns(row.column, row.n, X->n_features))) {
            outcome = NOT_IN_X;
            break;
        }
        const double *theta = parameters + index[i] * n_outputs * width;
        for (ptrdiff_t k = 0; k < n_outputs; k++, theta += width)
            scores[i * n_outputs + k] = dot(row, theta) + theta[X->n_features];
    }
    free(buffer);
    return outcome;
}

const Kernel KERNEL = {run_task, learn_tasks, score_rows, step_sizes, meta_step_sizes};
