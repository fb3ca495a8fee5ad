/* The loop over tasks. Included once for each instruction set, which names KERNEL. */
#include <float.h>
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
#include "_units.h"
#ifdef BLOCKS
#include "_blocks.h"
#endif
#include "_learner.h"
#include "_in_units.h"
#include "_step_sizes.h"
#include "_touched.h"
#include "_row_leader.h"

static double *aligned_zeros(ptrdiff_t n, void **memory)
{
    *memory = calloc((size_t)n + 8, sizeof(double));
    return (double *)(((size_t)*memory + 63) / 64 * 64);
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

/* displacement = parameter - phi; returns its squared norm. */
static double subtract(
    double *displacement, const double *parameter, const double *phi, ptrdiff_t size)
{
    for (ptrdiff_t j = 0; j < size; j++) displacement[j] = parameter[j] - phi[j];
    return square_sum(displacement, size);
}

/* ---- all tasks */

/* One candidate of the step size, and how it learned a task. */
typedef struct {
    const Rules *rules;
    double *state;
    Task task;
    double *eta, *displacement; /* padded, like the parameters of `task` */
    double distance;
    int finite;
    Touched touched; /* set where the task touches few entries of phi */
} Run;

typedef struct {
    const Algorithm *algorithm;
    const ManyTasks *tasks;
    const Data *data;
    const Inner *inner;
    const StepSize *step_size;
    const MetaStepSize *meta_step_size;
    Learner learner;
    InUnits units; /* empty without units */
    Run *runs;
    double *phi, *own;         /* where the task may start, padded and in its units */
    double *raw_phi, *raw_own; /* the same, raw */
    double *moves;             /* raw, see `ManyTasks` */
    double *scratch;
    double *leader_scratch, *natural; /* of the leader of the rows */
    int few;          /* whether the task touches few entries of phi */
    int theta_is_phi; /* and `average` is zero */
    double n_tasks;   /* learned so far, the present one included */
} Loop;

static const double *parameter_of(const Run *run)
{
    return run->task.average ? run->task.average : run->task.theta;
}

/* Whether to move only what the task touches. An entry that is moved by its column
 * costs about three times one in passing. */
static int touches_few(const Loop *loop, const Task *task, int is_known)
{
    const Learner *learner = &loop->learner;
    const ptrdiff_t K = learner->inner->n_outputs;
    return learner->data->X.indices && !task->per_coordinate && !is_known
           && loop->algorithm->n_candidates == 1 && sums_steps(learner->inner)
           && 3 * K * (1 + count_stored(learner->data, task->begin, task->end))
                  < learner->size;
}

/* Where the task starts, in its units. */
static const double *find_start(Loop *loop, ptrdiff_t t, int is_known)
{
    const ManyTasks *tasks = loop->tasks;
    const Layout *layout = &loop->units.layout;
    const Coordinates *coordinates = &loop->units.coordinates;
    const int in_units = loop->algorithm->units.learned;
    if (in_units && loop->n_tasks == 1.0 && !tasks->phi_given) { /* zero in units */
        memset(loop->raw_phi, 0, loop->learner.size * sizeof(double));
        for (ptrdiff_t k = 0; k < layout->n_outputs; k++)
            loop->raw_phi[layout->intercept + k * layout->step] = coordinates->offset;
    }
    if (in_units) to_units(loop->phi, loop->raw_phi, coordinates, layout);
    if (!is_known) return loop->phi;
    double *own = in_units ? loop->raw_own : loop->own;
    to_padded(&loop->learner, own,
              tasks->own + tasks->own_index[t] * loop->learner.natural);
    if (in_units) to_units(loop->own, own, coordinates, layout);
    return loop->own;
}

static void start_run(const Loop *loop, Run *run, const double *start)
{
    const ptrdiff_t size = loop->learner.size;
    Task *task = &run->task;
    if (start != loop->phi || !loop->theta_is_phi)
        memcpy(task->theta, start, size * sizeof(double));
    if (task->average && !(loop->few && loop->theta_is_phi))
        memset(task->average, 0, size * sizeof(double));
    memset(task->grad_sq, 0, run->rules->n_etas * sizeof(double));
    task->total_loss = 0.0;
    loop->step_size->propose(run->rules, run->state, task->end - task->begin, run->eta);
}

/* The parameter of a task of many entries replaces its mean; returns whether it, and
 * theta, are finite as far as the distance does not show it. */
static int finish_average(const Learner *learner, Task *task, double n_steps)
{
    if (!task->average) return 1;
    if (!sums_steps(learner->inner)) return all_finite(task->theta, learner->size);
    for (ptrdiff_t j = 0; j < learner->size; j++)
        task->average[j] = mean_iterate(task->theta[j], task->average[j], n_steps);
    return 1;
}

/* Learns the task with one candidate. Where it touches few entries of phi, these move by
 * their share, and `out` (or NULL) takes the parameter. */
static void learn_run(
    const Loop *loop, Run *run, const double *start, double share, double *out)
{
    const Learner *learner = &loop->learner;
    const ptrdiff_t size = learner->size;
    Task *task = &run->task;
    const double n_steps =
        (double)((task->end - task->begin) * learner->inner->max_iter);
    double square;
    start_run(loop, run, start);
    int finite = learn(learner, task, loop->scratch);
    if (loop->few) {
        for (ptrdiff_t j = 0; out && j < size; j++)
            out[j] = task->average
                         ? mean_iterate(task->theta[j], task->average[j], n_steps)
                         : task->theta[j];
        run->touched = (Touched){loop->phi, task->theta,   task->average, loop->moves,
                                 n_steps,   loop->n_tasks, share,         run->displacement};
        square = apply_moves(run->touched, learner, task);
    } else {
        finite = finish_average(learner, task, n_steps) && finite;
        square = subtract(run->displacement, parameter_of(run), loop->phi, size);
    }
    run->distance = sqrt(square);
    run->finite = finite && isfinite(run->distance)
                  && all_finite(task->grad_sq, run->rules->n_etas);
}

/* ---- candidates */

/* The sum of the losses of a candidate follows its state, as often as it has steps. */
static double *losses_of(const Loop *loop, const Run *run)
{
    return run->state + loop->step_size->state_size(run->rules->n_etas);
}

static const double TIE = 1e-9; /* see `skmeta.step_size` */

/* The first of those whose sum of losses is the smallest up to rounding. */
static const Run *find_leader(const Loop *loop)
{
    const ptrdiff_t n = loop->algorithm->n_candidates;
    double least = INFINITY;
    for (ptrdiff_t k = 0; k < n && n > 1; k++) {
        const double losses = losses_of(loop, loop->runs + k)[0];
        if (losses < least) least = losses;
    }
    for (ptrdiff_t k = 0; k < n && n > 1; k++)
        if (losses_of(loop, loop->runs + k)[0] <= least * (1.0 + TIE))
            return loop->runs + k;
    return loop->runs;
}

/* Compares the candidates on a task that one of them could learn. */
static void judge(const Loop *loop, double factor)
{
    const ptrdiff_t n = loop->algorithm->n_candidates;
    int learned = 0;
    for (ptrdiff_t k = 0; k < n; k++) learned |= loop->runs[k].finite;
    for (ptrdiff_t k = 0; k < n && learned; k++) {
        const Run *run = loop->runs + k;
        double *losses = losses_of(loop, run);
        const double loss = run->finite ? factor * run->task.total_loss : INFINITY;
        for (ptrdiff_t j = 0; j < run->rules->n_etas; j++) losses[j] += loss;
    }
}

/* ---- one task */

static HistoryRow make_row(const Run *run, double factor)
{
    const ptrdiff_t n_etas = run->rules->n_etas;
    const ptrdiff_t m = run->task.end - run->task.begin;
    HistoryRow row = {m, factor * run->task.total_loss / (double)m, run->distance, 0.0,
                      0.0};
    for (ptrdiff_t j = 0; j < n_etas; j++) {
        row.grad_sq_norm += run->task.grad_sq[j];
        row.step_size += run->eta[j] / (double)n_etas;
    }
    return row;
}

/* The raw parameter of the task. */
static void write_parameter(
    const Loop *loop, const Run *run, const double *start, double *out)
{
    const Learner *learner = &loop->learner;
    if (!loop->algorithm->units.learned) {
        from_padded(learner, out, parameter_of(run));
        return;
    }
    double *raw = loop->raw_own, *difference = loop->own;
    if (start == loop->phi) memcpy(raw, loop->raw_phi, learner->size * sizeof(double));
    for (ptrdiff_t j = 0; j < learner->size; j++)
        difference[j] = parameter_of(run)[j] - start[j];
    add_displacement(raw, difference, 1.0, &loop->units.coordinates,
                     &loop->units.layout);
    from_padded(learner, out, raw);
}

/* The leader learns the rows of a task; when it is due, the initialization moves there. */
static enum Outcome follow_rows(Loop *loop, ptrdiff_t begin, ptrdiff_t end)
{
    const RowsRule *rule = loop->tasks->rows_rule;
    double *state = loop->tasks->leader, *phi = loop->raw_phi, *target = loop->own;
    Leader leader = leader_at(rule, state);
    if (*leader.n_rows == 0.0) {
        from_padded(&loop->learner, loop->natural, phi);
        start_leader(rule, &leader, loop->natural);
    }
    if (observe_rows(loop->data, begin, end, rule, state, loop->leader_scratch) < 0)
        return NO_MEMORY;
    if (*leader.n_rows < *leader.due_at) return FINITE;
    solve_leader(rule, state, loop->leader_scratch);
    to_padded(&loop->learner, target, leading(rule, state));
    for (ptrdiff_t j = 0; j < loop->learner.size; j++) {
        loop->moves[j] += loop->n_tasks * (target[j] - phi[j]);
        phi[j] = target[j];
    }
    return FINITE;
}

/* The rules and the shared initialization learn from a finished task. */
static void finish_task(Loop *loop, const Run *leader, double weight, double share)
{
    const Algorithm *algorithm = loop->algorithm;
    const ptrdiff_t m = leader->task.end - leader->task.begin;
    loop->meta_step_size->add(leader->rules->meta_parameters, loop->tasks->meta_state,
                              loop->n_tasks, weight);
    for (ptrdiff_t k = 0; k < algorithm->n_candidates; k++) {
        const Run *run = loop->runs + k;
        if (run->finite)
            loop->step_size->observe(run->rules, run->state, run->displacement,
                                     run->distance, run->task.grad_sq, m,
                                     loop->n_tasks);
    }
    if (algorithm->units.learned) {
        add_displacement(loop->raw_phi, leader->displacement, share,
                         &loop->units.coordinates, &loop->units.layout);
        add_displacement(loop->moves, leader->displacement, loop->n_tasks * share,
                         &loop->units.coordinates, &loop->units.layout);
        keep_moments(&loop->units);
    } else if (!loop->few) {
        for (ptrdiff_t j = 0; j < loop->learner.size; j++) {
            const double move = share * leader->displacement[j];
            loop->phi[j] += move;
            loop->moves[j] += loop->n_tasks * move;
        }
    }
}

static enum Outcome learn_task(Loop *loop, ptrdiff_t t)
{
    const Algorithm *algorithm = loop->algorithm;
    const Rules *rules = algorithm->candidates;
    const ManyTasks *tasks = loop->tasks;
    const ptrdiff_t begin = tasks->starts[t], end = tasks->starts[t + 1];
    const int is_known = tasks->own_index && tasks->own_index[t] >= 0;
    const Data *data = loop->data;
    const double weight = sqrt((double)(end - begin));
    const int in_units = algorithm->units.learned;
    double *out = tasks->parameters ? tasks->parameters + t * loop->learner.natural
                                    : NULL;
    double factor = 1.0;
    if (!columns_fit(data, begin, end)) return NOT_IN_X;

    loop->n_tasks += 1.0;
    if (in_units) {
        if (!enter_units(&loop->units, &algorithm->units, data, loop->inner, begin,
                         end))
            return NOT_FINITE;
        factor = loss_factor(&loop->units, &algorithm->units);
    }
    /* the tasks of a meta-batch leave phi where it is */
    const double share = tasks->grad_sq
                             ? 0.0
                             : loop->meta_step_size->share(rules->meta_parameters,
                                                           tasks->meta_state,
                                                           loop->n_tasks, weight);
    const double *start = find_start(loop, t, is_known);
    for (ptrdiff_t k = 0; k < algorithm->n_candidates; k++) {
        Run *run = loop->runs + k;
        /* rows in units may be copied to a place of their own */
        run->task.begin = loop->learner.data == data ? begin : 0;
        run->task.end = run->task.begin + (end - begin);
        loop->few = touches_few(loop, &run->task, is_known);
        learn_run(loop, run, start, share, out);
    }
    const Run *leader = find_leader(loop);
    if (algorithm->n_candidates > 1) judge(loop, factor);
    loop->theta_is_phi = loop->few;
    if (!leader->finite) {
        if (loop->few) undo_moves(leader->touched, &loop->learner, &leader->task);
        return NOT_FINITE;
    }
    if (out && !loop->few) write_parameter(loop, leader, start, out);
    tasks->history[t] = make_row(leader, factor);
    if (tasks->grad_sq) {
        const ptrdiff_t n_etas = rules->n_etas;
        memcpy(tasks->grad_sq + t * n_etas, leader->task.grad_sq,
               n_etas * sizeof(double));
        return FINITE;
    }
    finish_task(loop, leader, weight, share);
    return tasks->rows_rule ? follow_rows(loop, begin, end) : FINITE;
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

/* Hands out memory to the loop; with NULL, returns how many doubles that takes. */
static ptrdiff_t take_memory(Loop *loop, double *memory)
{
    const ManyTasks *tasks = loop->tasks;
    const Algorithm *algorithm = loop->algorithm;
    const ptrdiff_t n_etas = algorithm->candidates->n_etas;
    const ptrdiff_t parameter = loop->learner.size, n_runs = algorithm->n_candidates;
    const int in_units = algorithm->units.learned;
    ptrdiff_t size = 0, longest = 0;
    loop->phi = take(&memory, &size, parameter);
    loop->own = take(&memory, &size, parameter);
    loop->moves = take(&memory, &size, parameter);
    loop->raw_phi = in_units ? take(&memory, &size, parameter) : loop->phi;
    loop->raw_own = in_units ? take(&memory, &size, parameter) : loop->own;
    loop->scratch = take(&memory, &size, learner_scratch(&loop->learner));
    if (tasks->rows_rule) {
        loop->leader_scratch = take(&memory, &size, leader_scratch(tasks->rows_rule));
        loop->natural = take(&memory, &size, loop->learner.natural);
    }
    if (in_units) {
        for (ptrdiff_t t = tasks->first; t < tasks->last; t++) {
            const ptrdiff_t length = tasks->starts[t + 1] - tasks->starts[t];
            if (length > longest) longest = length;
        }
        take_units(&loop->units, &loop->learner, longest, &memory, &size);
    }
    const ptrdiff_t bytes = n_runs * (ptrdiff_t)sizeof(Run);
    loop->runs = (Run *)take(&memory, &size, bytes / (ptrdiff_t)sizeof(double) + 1);
    for (ptrdiff_t k = 0; k < n_runs; k++) {
        double *theta = take(&memory, &size, parameter);
        double *average = take(&memory, &size, parameter);
        double *displacement = take(&memory, &size, parameter);
        double *eta = take(&memory, &size, n_etas);
        double *grad_sq = take(&memory, &size, n_etas);
        if (!memory) continue;
        const Rules *rules = algorithm->candidates + k;
        Run *run = loop->runs + k;
        run->rules = rules, run->state = tasks->rule_state + k * algorithm->state_size;
        run->task.theta = theta, run->task.average = rules->average ? average : NULL;
        run->task.eta = run->eta = eta, run->task.grad_sq = grad_sq;
        run->task.per_coordinate = n_etas > 1;
        run->displacement = displacement;
    }
    return size;
}

static ptrdiff_t learn_tasks(
    const Data *data, const Inner *inner, const Algorithm *algorithm,
    const ManyTasks *tasks)
{
    if (!tasks_fit(tasks, data->X.n_rows)) return NOT_IN_X;
    const Rules *rules = algorithm->candidates;
    const ptrdiff_t first = tasks->starts[tasks->first];
    const ptrdiff_t last = tasks->starts[tasks->last];
    Loop loop = {.algorithm = algorithm, .tasks = tasks, .data = data, .inner = inner};
    loop.step_size = step_sizes + rules->step_size;
    loop.meta_step_size = meta_step_sizes + rules->meta_step_size;
    loop.learner = make_learner(data, inner, rules->n_etas > 1, first, last);
    if (loop.learner.longest < 0) return NOT_IN_X;
    if (algorithm->units.learned) begin_units(&loop.units, &loop.learner);
    void *memory;
    double *doubles = aligned_zeros(take_memory(&loop, NULL), &memory);
    if (!memory) return NO_MEMORY;
    take_memory(&loop, doubles);
    if (algorithm->units.learned) read_units(&loop.units, tasks->moments);
    loop.n_tasks = (double)tasks->n_tasks;
    to_padded(&loop.learner, loop.raw_phi, tasks->phi);
    if (tasks->moves) to_padded(&loop.learner, loop.moves, tasks->moves);

    enum Outcome outcome = FINITE;
    ptrdiff_t t = tasks->first;
    while (t < tasks->last && (outcome = learn_task(&loop, t)) == FINITE) t++;
    if (outcome != NOT_IN_X && t > tasks->first) {
        from_padded(&loop.learner, tasks->phi, loop.raw_phi);
        if (tasks->moves) from_padded(&loop.learner, tasks->moves, loop.moves);
        if (algorithm->units.learned) write_units(&loop.units, tasks->moments);
    }
    free(memory);
    return outcome < 0 ? outcome : t;
}

/* ---- the leader of the rows */

static enum Outcome observe_all_rows(
    const Data *data, const RowsRule *rule, double *leader)
{
    double *scratch = malloc((size_t)leader_scratch(rule) * sizeof(double));
    if (!scratch) return NO_MEMORY;
    const enum Outcome outcome =
        observe_rows(data, 0, data->X.n_rows, rule, leader, scratch);
    free(scratch);
    return outcome;
}

static enum Outcome solve_leader_now(const RowsRule *rule, double *leader)
{
    double *scratch = malloc((size_t)leader_scratch(rule) * sizeof(double));
    if (!scratch) return NO_MEMORY;
    solve_leader(rule, leader, scratch);
    free(scratch);
    return FINITE;
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

const Kernel KERNEL = {run_task,    learn_tasks,      score_rows,
                       leader_size, observe_all_rows, solve_leader_now,
                       step_sizes,  meta_step_sizes};
