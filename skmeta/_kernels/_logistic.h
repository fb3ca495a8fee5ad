/* Normal posteriors of many logistic tasks; `_logistic_py.py` says what they are.
 */
#ifndef SKMETA_LOGISTIC_H
#define SKMETA_LOGISTIC_H

#include <stddef.h>

typedef struct {
    const double *doubles; /* (n_samples, d), or else */
    const float *floats;
    const double *y;
    const double *weight;   /* NULL: every weight is 1 */
    const ptrdiff_t *order; /* NULL: rows as they stand */
    const ptrdiff_t *starts;
    const double *held; /* (n_tasks, n_held, p + 1) */
    ptrdiff_t d, n_held;
    const double *origin, *mean, *scale;
    double bias;
    const double *root; /* (p, r) */
    ptrdiff_t r;
    const double *lines;
    double *parameters, *variances, *factors;
    ptrdiff_t k; /* rows of a factor */
} LogisticProblem;

/* Doubles of scratch for tasks of at most `longest` rows, held ones included. */
typedef ptrdiff_t LogisticScratch(ptrdiff_t longest, ptrdiff_t d, ptrdiff_t r);

/* Solve the tasks first <= t < last. */
typedef void LogisticSolve(
    const LogisticProblem *problem, ptrdiff_t first, ptrdiff_t last, ptrdiff_t longest,
    double *scratch, double *values, ptrdiff_t *n_steps);

typedef struct {
    LogisticScratch *scratch;
    LogisticSolve *solve;
} LogisticKernel;

const LogisticKernel *skmeta_logistic_kernel(void);

#endif
