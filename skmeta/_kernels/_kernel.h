/* What the compiled loops read and write; `_loops_py.py` says what they compute. */
#ifndef SKMETA_KERNEL_H
#define SKMETA_KERNEL_H

#include <stddef.h>

/* The order of `skmeta._losses.LOSSES`: margin losses from LOG_LOSS on. */
enum LossCode {
    SQUARED_ERROR,
    HUBER,
    ABSOLUTE_ERROR,
    EPSILON_INSENSITIVE,
    PINBALL,
    LOG_LOSS,
    HINGE,
    SQUARED_HINGE,
    MODIFIED_HUBER
};

/* `INNER_UPDATES` in `_loops_fast.pyx` names them. */
enum InnerUpdate { OGD, IMPLICIT, FTRL, EG };

/* The `code` of the classes in `skmeta.step_size` and in `skmeta.meta_update`. */
enum StepSizeCode { FIXED, DOUBLING, ARUBA };
enum MetaUpdateCode { FOLLOW_THE_LEADER, ADAPTIVE_OGD, CONSTANT, LINEAR_DECAY };

/* A stacked matrix: `doubles` or else `floats` holds its stored values. */
typedef struct {
    const double *doubles;
    const float *floats;
    const int *indices; /* NULL: dense */
    const int *indptr;
    ptrdiff_t n_rows, n_features;
} Matrix;

typedef struct {
    Matrix X;
    const double *y;
    const double *weight;   /* NULL: every weight is 1 */
    const ptrdiff_t *order; /* NULL: rows as they stand */
    ptrdiff_t n_orders;
} Data;

typedef struct {
    int loss;
    double parameter;
    int update;
    double radius; /* infinite: no ball */
    double min_slack;
    double bias;
    ptrdiff_t max_iter, n_outputs;
} Inner;

typedef struct {
    int step_size;
    double step_size_parameters[3];
    int meta_update;
    double meta_update_parameters[2];
    double meta_eta0;
    int phi_given;
    int average;
    int divide_by_root;
} Meta;

typedef struct {
    long long n_samples;
    double loss;
    double distance;
    double grad_sq_norm;
    double step_size;
} HistoryRow;

/* Parameters, in and out, are (n_outputs, n_features + 1). Pointers may be NULL where
 * `_loops_py` allows None. */
typedef struct {
    const double *eta;
    ptrdiff_t n_etas; /* 1, or one per parameter */
    double *theta, *losses, *average, *grad_sq;
} OneTask;

typedef struct {
    const ptrdiff_t *starts;
    ptrdiff_t first, last;
    const double *eta0;
    ptrdiff_t n_etas;
    double *phi, *rule, *clock;
    const double *own;
    const ptrdiff_t *own_index;
    HistoryRow *history;
    double *parameters, *grad_sq;
} ManyTasks;

/* The loops, compiled once for each instruction set and chosen when they run. */
typedef struct {
    /* 1: done, 0: not finite, -1: no memory */
    int (*run_task)(const Data *, const Inner *, ptrdiff_t begin, ptrdiff_t end,
                    const OneTask *);
    /* the first task that failed, or `last`; -1: no memory */
    ptrdiff_t (*learn_tasks)(const Data *, const Inner *, const Meta *,
                             const ManyTasks *);
    /* 1, or -1: no memory */
    int (*score_rows)(const Matrix *, const ptrdiff_t *index, const double *parameters,
                      ptrdiff_t n_outputs, double *scores);
} Kernel;

const Kernel *skmeta_kernel(void);

#endif
