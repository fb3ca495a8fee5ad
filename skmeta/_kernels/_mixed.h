/* What the compiled sums over tasks read and write; `_mixed_py.py` says what they
 * compute. Tasks stand in groups, one task per lane of a vector. */
#ifndef SKMETA_MIXED_H
#define SKMETA_MIXED_H

#include <stddef.h>

/* Stacked rows; `doubles` or else `floats` holds the features. */
typedef struct {
    const double *doubles;
    const float *floats;
    ptrdiff_t n_features;
    const double *y;
    const double *weight;   /* NULL: every weight is 1 */
    const ptrdiff_t *order; /* NULL: rows as they stand */
    const ptrdiff_t *starts;
    const double *origin;
} MixedRows;

typedef struct {
    const double *mean, *scale;
    double target_mean, target_scale, bias;
} MixedUnits;

/* Groups of tasks of like length, n_lanes each. A group has `rows` rows and one of two forms:
 * rows 0: p rows and a residual, lower triangular; else the rows themselves, 2 rows <= p.
 * A triangle is stored by blocks of four rows, each as wide as its last row. */
typedef struct {
    ptrdiff_t n_tasks, n_groups, p, q, k;
    const ptrdiff_t *task;  /* of group g: n_lanes from g n_lanes on; -1: none */
    const ptrdiff_t *rows;
    const ptrdiff_t *data_at, *kept_at; /* where groups begin, in vectors */
    double *data; /* of a group: L, z, squared residual, weight, level */
    double *kept; /* of a group: Y, e, s */
    double v;     /* of the last first sweep */
} MixedTasks;

/* The prior of a sweep: R R' = S. */
typedef struct {
    const double *R;
    int diagonal;
    double v;
    const double *beta;
} MixedPrior;

typedef struct {
    ptrdiff_t n_tasks, k, n_features, line_stride, spread_stride;
    const double *factors, *lines, *S;
    const double *line_covariance; /* NULL: none */
    double *means, *covariances;   /* covariances may be NULL */
} MixedPosteriors;

/* Compiled once for each instruction set and chosen when they run. All return 0, or
 * -1: no memory. The range is of groups: n_lanes tasks each. */
typedef struct {
    ptrdiff_t n_lanes;
    /* In the order of `sorted` (NULL: as they stand); 1: some are not finite. */
    int (*factor)(const MixedRows *, const ptrdiff_t *sorted, ptrdiff_t n_tasks,
                  ptrdiff_t first, ptrdiff_t last, ptrdiff_t k, double *factors);
    void (*losses)(const double *factors, const double *line, ptrdiff_t n_tasks,
                   ptrdiff_t k, ptrdiff_t width, double *losses);
    int (*add)(ptrdiff_t n_tasks, ptrdiff_t n_more, ptrdiff_t width, double *factors,
               const double *more);
    /* sums of the rows of every task, unweighted; NULL: none */
    int (*sum)(const double *factors, const double *weights, ptrdiff_t n_tasks,
               ptrdiff_t k, ptrdiff_t width, ptrdiff_t first, ptrdiff_t last,
               double *total, double *sums);
    int (*load)(const MixedTasks *, const double *factors, const double *weights,
                const double *level, const MixedUnits *, ptrdiff_t first,
                ptrdiff_t last);
    /* sums: p * p information, p * q, q * q, p score, q, log det; 1: a pivot failed */
    int (*first)(const MixedTasks *, const MixedPrior *, ptrdiff_t first,
                 ptrdiff_t last, double *sums);
    /* sums: p * p scores, squares, products, spread each, quadratic; E E' = V */
    int (*second)(const MixedTasks *, const double *E, const double *step,
                  int diagonal, ptrdiff_t first, ptrdiff_t last, double *sums);
    /* rows of task: vech(s s') times the weight and vech(H), over live coordinates */
    int (*pairs)(const MixedTasks *, const ptrdiff_t *live, ptrdiff_t n_live,
                 ptrdiff_t first, ptrdiff_t last, double *scores, double *information);
    int (*states)(const MixedTasks *, ptrdiff_t first, ptrdiff_t last, double *s,
                  double *H);
    /* 1: a pivot failed */
    int (*solve)(const MixedPosteriors *, const MixedUnits *, const MixedPrior *,
                 ptrdiff_t first, ptrdiff_t last);
} MixedKernel;

const MixedKernel *skmeta_mixed_kernel(void);

#endif
