/* What the compiled loops read and write; `_loops_py.py` and `_loops_fast.pyx` say what
 * they compute. */
#ifndef SKMETA_KERNEL_H
#define SKMETA_KERNEL_H

#include <stddef.h>

#include "_loss_list.h"

#define CODE(name, of, rest) LOSS_##name,
enum LossCode { EACH_LOSS(CODE) };
#undef CODE
enum LossArgument { OF_RESIDUAL, OF_MARGIN, OF_SCORE };
enum LossRest { NO_REST, WITH_REST };

/* `UPDATES` in `_loops_fast.pyx` names them. */
enum InnerUpdate { OGD, IMPLICIT, FTRL, EG, COIN, LTL };

/* What a loop returns besides a number of tasks. */
enum Outcome { NOT_FINITE = 0, FINITE = 1, NO_MEMORY = -1, NOT_IN_X = -2 };

/* A stacked matrix: `doubles` or else `floats` holds its stored values. */
typedef struct {
    const double *doubles;
    const float *floats;
    const int *indices; /* NULL: dense */
    const int *indptr;
    ptrdiff_t n_rows, n_features, n_stored;
} Matrix;

typedef struct {
    Matrix X;
    const double *y;
    const double *weight;   /* NULL: every weight is 1 */
    const ptrdiff_t *order; /* NULL: rows as they stand */
    ptrdiff_t n_orders;
} Data;

/* The inner learner. */
typedef struct {
    enum LossCode loss;
    double parameter;
    enum InnerUpdate update;
    double radius; /* infinite: no ball */
    double min_slack;
    double bias;
    ptrdiff_t max_iter, n_outputs;
} Inner;

/* The numbers of a step size and of a meta step size; their formulas are in
 * `_step_sizes.h`. `n_etas` is 1, or the number of parameters. */
typedef struct {
    int step_size;
    double step_size_parameters[5];
    ptrdiff_t n_etas;
    const double *eta0;
    int divide_by_root;
    int meta_step_size;
    double meta_parameters[3];
    int average;
} Rules;

/* Whether tasks are learned in units learned from their rows, and how. */
typedef struct {
    int learned;
    int centers;          /* there is an intercept */
    int degree;           /* of the loss in the unit of the target; 0: it has none */
    int scales_parameter; /* of the loss, with the target */
} Units;

/* The candidates of a step size differ in its parameters only. The state of each is
 * `state_size` doubles behind that of the one before. */
typedef struct {
    const Rules *candidates;
    ptrdiff_t n_candidates, state_size;
    Units units;
} Algorithm;

typedef struct {
    const char *name;
    int one_for_all; /* does not learn a step size per parameter */
    ptrdiff_t n_parameters;
    ptrdiff_t (*state_size)(ptrdiff_t n_etas);
    void (*propose)(const Rules *, const double *rule_state, ptrdiff_t m, double *eta);
    /* `displacement` of every parameter, if there is a step size for each, and its
     * norm `distance`; m samples; `n_tasks` counts this task */
    void (*observe)(const Rules *, double *rule_state, const double *displacement,
                    double distance, const double *grad_sq, ptrdiff_t m,
                    double n_tasks);
} StepSize;

typedef struct {
    const char *name;
    ptrdiff_t n_parameters, state_size;
    /* of a task of this weight, before `add` has changed the state */
    double (*share)(const double *parameters, const double *meta_state, double n_tasks,
                    double weight);
    void (*add)(const double *parameters, double *meta_state, double n_tasks,
                double weight);
} MetaStepSize;

/* The minimiser of the losses of all rows so far, see `_row_leader.h`. */
typedef struct {
    enum LossCode loss;
    double parameter, bias;
    ptrdiff_t n_outputs, n_features, n_penalties;
    const double *penalties;
    double longest;   /* step of a response from the score, */
    int is_scaled;    /* in deviations of the target, which has a unit */
    int is_quadratic; /* the loss is its own parabola */
    int is_steep;     /* a response may be beyond the minimum of the loss */
} RowsRule;

typedef struct {
    long long n_samples;
    double loss;
    double distance;
    double grad_sq_norm;
    double step_size;
} HistoryRow;

/* Parameters, in and out, are (n_outputs, n_features + 1). Pointers may be NULL where
 * the Python functions allow None. */
typedef struct {
    const double *eta;
    ptrdiff_t n_etas;
    double *theta, *losses, *average, *grad_sq;
} OneTask;

typedef struct {
    const ptrdiff_t *starts;
    ptrdiff_t first, last, n_tasks;
    double *phi, *rule_state, *meta_state;
    double *moments; /* n_rows, then means and sums of squares, each of the features
                      * and the target; NULL without units */
    int phi_given;   /* not: the first task starts at zero in its units */
    double *moves; /* sum of the moves of phi, each times the number of its task */
    const RowsRule *rows_rule; /* NULL: phi does not follow the rows */
    double *leader;            /* the state of the minimiser */
    const double *own;
    const ptrdiff_t *own_index;
    ptrdiff_t n_own;
    HistoryRow *history;
    double *parameters, *grad_sq;
} ManyTasks;

/* The loops, compiled once for each instruction set and chosen when they run. */
typedef struct {
    enum Outcome (*run_task)(const Data *, const Inner *, const OneTask *);
    /* the first task that failed, or `last`; or a negative outcome */
    ptrdiff_t (*learn_tasks)(const Data *, const Inner *, const Algorithm *,
                             const ManyTasks *);
    enum Outcome (*score_rows)(const Matrix *, const ptrdiff_t *index,
                               const double *parameters, ptrdiff_t n_parameters,
                               ptrdiff_t n_outputs, double *scores);
    ptrdiff_t (*leader_size)(const RowsRule *); /* of its state */
    /* of all rows of a dense X */
    enum Outcome (*observe_rows)(const Data *, const RowsRule *, double *leader);
    enum Outcome (*solve_leader)(const RowsRule *, double *leader);
    const StepSize *step_sizes; /* up to one without a name */
    const MetaStepSize *meta_step_sizes;
} Kernel;

const Kernel *skmeta_kernel(void);
extern const char *const skmeta_loss_names[]; /* by code, up to NULL */

#endif
